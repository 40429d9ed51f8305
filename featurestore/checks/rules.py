"""Every rule, in the order in which they are listed and their findings are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .finding import Declared, Rule, Spot
from .subject import ModelInView, Project


class LeakageRule(Protocol):
    """A module of `leakage/`. Its docstring is the rule's documentation."""

    __doc__: str | None

    @property
    def RULE(self) -> Rule: ...

    def find(self, model: ModelInView, /) -> Iterator[Spot]: ...


class DeclarationRule(Protocol):
    """A module of `declarations/`. Its docstring is the rule's documentation."""

    __doc__: str | None

    @property
    def RULE(self) -> Rule: ...

    def find(self, project: Project, /) -> Iterator[Declared]: ...


LEAKAGE: tuple[LeakageRule, ...] = ()
DECLARATIONS: tuple[DeclarationRule, ...] = ()
