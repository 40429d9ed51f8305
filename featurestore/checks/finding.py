"""What a check reports, and what a rule says of one place before it is one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from featurestore.registry.definitions import FeatureReference


class Severity(str, Enum):
    """How bad a finding is."""

    ERROR = "error"
    """Training sees what serving cannot."""

    WARNING = "warning"
    """It may, or will once data or code change."""

    ADVICE = "advice"
    """Nothing is wrong, and somebody will miss it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that is looked for. Its documentation is the docstring of its module."""

    id: str
    """As it is written in settings and suppressions: `reads_clock`."""

    title: str
    """What is wrong where it finds something, in one line."""

    severity: Severity
    """Where the project does not say another."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What a rule on SQL found in a model, in the light of one feature view."""

    at: exp.Expr | None
    """The offending part of the model's tree. None: the model as a whole."""

    features: frozenset[str]
    """The view's features that it leaks into. Empty where it is about the view as a whole."""

    why: str
    """A sentence: what goes wrong."""

    mend: str
    """A sentence: what to write instead."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a rule on declarations found."""

    node: str
    """dbt's unique id of the model, snapshot or exposure that declares it, or should."""

    view: str
    features: frozenset[str]
    expression: str
    """What is declared, as far as it is: `ttl: 1 hour`. Empty where something is missing."""

    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, where, why, and what to do about it."""

    rule: str
    severity: Severity
    views: tuple[str, ...]
    """The feature views that it is about; several where they share the model."""

    features: tuple[FeatureReference, ...]
    """Those that it leaks into. Empty where it is about the views as a whole."""

    model: str
    """The name of the model, snapshot or exposure."""

    file: str
    """Seen from the project's folder, with slashes."""

    line: int | None
    """From 1 on; None where the file does not show one."""

    expression: str
    """The offending SQL, or what is declared, on one line."""

    why: str
    mend: str
    compiled: bool = False
    """Whether the line counts in the compiled SQL, since the file, with its Jinja, does not show it."""

    waived: str | None = None
    """The reason for which it was waived, where it was."""
