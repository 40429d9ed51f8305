"""Every rule, in the order in which they are listed and their findings are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from . import proof
from .declarations import (
    float_key,
    key_type_differs,
    label_in_feature,
    no_contract,
    no_description,
    no_owner,
    no_unique_test,
    ttl_shorter_than_refresh,
)
from .finding import Declared, Rule, Spot
from .ignores import bad_ignore, unused_ignore
from .leakage import (
    aggregate_joined_back,
    aggregate_without_timestamp,
    bucket_start,
    incremental_loses_late_rows,
    load_time_as_timestamp,
    looks_ahead,
    mutable_join,
    naive_cast,
    nondeterministic,
    one_row_per_entity,
    reads_clock,
    sampled,
    whole_partition,
    window_never_decays,
)
from .reading import not_parsed, not_readable, not_resolved
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


class DocumentedRule(Protocol):
    """A module with a rule in it, whoever looks for it."""

    __doc__: str | None

    @property
    def RULE(self) -> Rule: ...


LEAKAGE: tuple[LeakageRule, ...] = (
    reads_clock,
    load_time_as_timestamp,
    looks_ahead,
    whole_partition,
    aggregate_joined_back,
    bucket_start,
    one_row_per_entity,
    aggregate_without_timestamp,
    mutable_join,
    window_never_decays,
    incremental_loses_late_rows,
    nondeterministic,
    sampled,
    naive_cast,
)
DECLARATIONS: tuple[DeclarationRule, ...] = (
    label_in_feature,
    float_key,
    key_type_differs,
    ttl_shorter_than_refresh,
    no_unique_test,
    no_contract,
    no_description,
    no_owner,
)
READING: tuple[LeakageRule, ...] = (not_parsed, not_readable, not_resolved)
"""Asked of every model, also of those whose SQL cannot be read."""

EVERY: tuple[DocumentedRule, ...] = (*LEAKAGE, *DECLARATIONS, *READING, bad_ignore, unused_ignore, proof.proved_leak, proof.proved_chance)


def known_rules() -> dict[str, DocumentedRule]:
    """All rules by their ids."""
    return {each.RULE.id: each for each in EVERY}
