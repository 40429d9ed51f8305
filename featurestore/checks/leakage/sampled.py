"""Only some of the rows reach a feature: LIMIT, TOP, TABLESAMPLE.

Why it leaks: a LIMIT left over from development, or a sample, decides which events a feature counts, and decides otherwise in each run
and each environment. Which rows a LIMIT keeps depends on all that there are, later ones included: `order by ordered_at desc limit 1000`
drops history as new rows come.

How to mend: remove it, or have it only outside of production (`{% if target.name == 'dev' %}`). Where the newest row of each key is
meant, use a window, or a lateral join that keeps the newest up to the event's time: a LIMIT inside such a join, or inside an aggregate,
is no sample.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.spans import number
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Select

RULE = Rule("sampled", "Only some rows reach a feature", Severity.ERROR)


def find(model: ModelInView, /) -> Iterator[Spot]:
    for select in model.selects:
        for node in _samples(select):
            yield Spot(
                node,
                frozenset()
                if model.is_view and model.model.query is not None and select is model.model.query.root
                else model.selects[select],
                "Which rows are left depends on all that there are, and on the run.",
                "Remove it, or keep it to development; for the newest row of a key use a window or a lateral join as of the event.",
            )


def _samples(select: Select) -> Iterator[exp.Expr]:
    expression = select.expression
    limit = expression.args.get("limit")
    # ClickHouse's LIMIT … BY keeps some rows of each key: which ones is what `one_row_per_entity` asks.
    by_key = isinstance(limit, exp.Limit) and bool(limit.expressions)
    if isinstance(limit, exp.Limit | exp.Fetch) and not by_key and not _is_correlated(select) and not _is_all(limit):
        yield limit
    if isinstance(expression.args.get("sample"), exp.Expr):
        yield expression.args["sample"]
    tables = [expression.args.get("from_"), *(expression.args.get("joins") or ())]
    for table in tables:
        source = table.this if isinstance(table, exp.From | exp.Join) else None
        sample = source.args.get("sample") if isinstance(source, exp.Expr) else None
        if isinstance(sample, exp.Expr):
            yield sample


def _is_correlated(select: Select) -> bool:
    """Whether it is asked anew for each row around it, or for the one answer that it has."""
    return select.around is not None


def _is_all(limit: exp.Limit | exp.Fetch) -> bool:
    value = limit.args.get("expression") or limit.args.get("count")
    if isinstance(limit, exp.Fetch):
        percent = limit.args.get("limit_options")
        return isinstance(percent, exp.Expr) and bool(percent.args.get("percent")) and number(value) == 100
    return isinstance(value, exp.Null) or (isinstance(value, exp.Column) and value.name.casefold() == "all")
