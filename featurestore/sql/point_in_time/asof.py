"""The warehouse's own ASOF join finds the newest row known at the asked instant.

It sees keys and timestamps only. Rows that share both are alike to it, so which of them it picks does not matter; the TTL is checked
on what it found, because an ASOF join takes one inequality and no more.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.sql.expressions import column, table

from .join import NamedQuery, ViewScope, carried
from .known import known


def matched(scope: ViewScope) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_matched`, has one row for each asked row that sees any."""
    rows = scope.cte("known")
    asked = scope.spine.asked
    not_after = exp.GTE(this=column(scope.spine.asked_at, asked), expression=column(scope.names.known_at, rows))
    same_key = scope.same_key(asked, rows)
    if scope.history.dialect.match_condition:
        # What matches nothing is kept, and finds no values, because null equals nothing.
        asof = exp.Join(this=table(rows), method="ASOF", match_condition=not_after, on=exp.and_(*same_key))
    else:
        asof = exp.Join(this=table(rows), method="ASOF", on=exp.and_(*same_key, not_after))
    query = exp.select(
        column(scope.spine.row_number, asked),
        column(scope.spine.asked_at, asked),
        *scope.key_columns(asked),
        *(column(name, rows) for name in carried(scope)),
    ).from_(table(asked))
    query.append("joins", asof)
    return [*known(scope), (scope.cte("matched"), query.where(*scope.unexpired(asked, rows)))]
