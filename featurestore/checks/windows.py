"""What a window function sees of the rows beside its own: those before it, those after it, or all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from featurestore.lineage.query import Select

from .functions import function_name
from .naming import sounds_like_sequence
from .origins import Origins
from .spans import number

_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)
_SHARES = (exp.PercentRank, exp.CumeDist, exp.Ntile)
_WRAPPERS = (exp.IgnoreNulls, exp.RespectNulls, exp.Filter)
_NAMES = {
    "rownumberinallblocks": "rank", "rank": "rank", "denserank": "rank", "dense_rank": "rank", "row_number": "rank",
    "percent_rank": "share",
    "percentrank": "share", "cume_dist": "share", "ntile": "share", "ratio_to_report": "share", "leadinframe": "lead", "laginframe": "lag",
}  # fmt: skip


class Kind(str, Enum):
    """What a window function is, as far as it matters which rows it sees."""

    RANK = "rank"
    SHARE = "share"
    LEAD = "lead"
    LAG = "lag"
    FIRST = "first"
    LAST = "last"
    NTH = "nth"
    AGGREGATE = "aggregate"


class Order(str, Enum):
    """By what the rows of a window are ordered."""

    TIME = "time"
    OTHER = "other"
    """Something by which a later row may come before an earlier one."""

    NONE = "none"


@dataclass(frozen=True)
class Seeing:
    """A window function, and what it sees."""

    node: exp.Window
    function: exp.Expr
    kind: Kind
    partition: tuple[exp.Expr, ...]
    order: Order
    newest_first: bool
    start: str
    """Of its frame: `PRECEDING`, `CURRENT ROW` or `FOLLOWING`."""

    end: str
    spec: exp.WindowSpec | None
    keys: tuple[exp.Expr, ...]

    @property
    def sees_ahead(self) -> bool:
        """Whether, its rows being ordered by time, it sees what comes after its row."""
        if self.kind is Kind.LEAD:
            return not self.newest_first
        if self.kind is Kind.LAG:
            return self.newest_first
        if self.kind is Kind.RANK:
            return self.newest_first
        if self.kind is Kind.SHARE:
            return True
        edge = {Kind.FIRST: (self.start, self.start), Kind.LAST: (self.end, self.end)}.get(self.kind, (self.start, self.end))
        return edge[0] == "PRECEDING" if self.newest_first else edge[1] == "FOLLOWING"


def windows_in(origins: Origins, model: str, select: Select, nodes: Iterator[exp.Expr]) -> Iterator[Seeing]:
    """The window functions among the nodes of an expression of a select."""
    for node in nodes:
        if isinstance(node, exp.Window) and isinstance(node.this, exp.Expr) and not isinstance(node.this, exp.Identifier):
            yield seeing(origins, model, select, node)


def seeing(origins: Origins, model: str, select: Select, node: exp.Window) -> Seeing:
    """What a window function of a select sees."""
    function = node.this
    ordered: object = None
    while isinstance(function, (*_WRAPPERS, exp.WithinGroup)):
        function = function.this
    whole = [node, *_named(select, node)]
    partition = tuple(each for window in whole for each in window.args.get("partition_by") or ())
    ordered = next((window.args["order"] for window in whole if isinstance(window.args.get("order"), exp.Order)), None)
    spec = next((window.args["spec"] for window in whole if isinstance(window.args.get("spec"), exp.WindowSpec)), None)
    keys = tuple(ordered.expressions) if isinstance(ordered, exp.Order) else ()
    order, newest_first = _order(origins, model, select, keys)
    kind = _kind(function)
    if kind in (Kind.LEAD, Kind.LAG) and _is_negative(function):
        kind = Kind.LAG if kind is Kind.LEAD else Kind.LEAD
    start, end = _frame(spec, bool(keys))
    return Seeing(node, function, kind, partition, order, newest_first, start, end, spec, keys)


def _named(select: Select, node: exp.Window) -> list[exp.Expr]:
    """The windows of the WINDOW clause that it stands on."""
    found: list[exp.Expr] = []
    waiting: list[exp.Expr] = [node]
    while waiting:
        alias = waiting.pop().args.get("alias")
        if isinstance(alias, exp.Expr):
            name = alias.name.casefold()
            for each in select.expression.args.get("windows") or ():
                if each.name.casefold() == name and all(each is not other for other in found):
                    found.append(each)
                    waiting.append(each)
    return found


def _kind(function: exp.Expr) -> Kind:
    by_class: Sequence[tuple[object, Kind]] = (
        (_RANKS, Kind.RANK),
        (_SHARES, Kind.SHARE),
        (exp.Lead, Kind.LEAD),
        (exp.Lag, Kind.LAG),
        ((exp.FirstValue, exp.First), Kind.FIRST),
        ((exp.LastValue, exp.Last), Kind.LAST),
        (exp.NthValue, Kind.NTH),
    )
    for classes, kind in by_class:
        if isinstance(function, classes):  # type: ignore[arg-type]
            return kind
    return Kind(_NAMES.get(function_name(function), "aggregate"))


def _is_negative(function: exp.Expr) -> bool:
    offset = function.args.get("offset")
    if offset is None and len(function.expressions) > 1:
        offset = function.expressions[1]
    value = number(offset) if isinstance(offset, exp.Expr) else None
    return value is not None and value < 0


def _order(origins: Origins, model: str, select: Select, keys: Sequence[exp.Expr]) -> tuple[Order, bool]:
    named = [key for key in keys if key.find(exp.Column) is not None]
    if not named:
        return Order.NONE, False
    first = named[0]
    newest_first = bool(first.args.get("desc")) if isinstance(first, exp.Ordered) else False
    key = first.this if isinstance(first, exp.Ordered) else first
    if isinstance(key, exp.Neg):
        key, newest_first = key.this, not newest_first
    columns = list(key.find_all(exp.Column))
    if origins.is_time(model, select, key) or any(origins.is_time(model, select, column) for column in columns):
        return Order.TIME, newest_first
    if origins.counts_time(model, select, key):
        return Order.TIME, newest_first
    # Rows that are numbered as they come are in the order of their time.
    if isinstance(key, exp.Column) and sounds_like_sequence(key.name):
        return Order.TIME, newest_first
    return Order.OTHER, newest_first


def _frame(spec: exp.WindowSpec | None, ordered: bool) -> tuple[str, str]:
    if spec is None:
        return "PRECEDING", "CURRENT ROW" if ordered else "FOLLOWING"
    return _edge(spec, "start"), _edge(spec, "end") if spec.args.get("end") is not None else "CURRENT ROW"


def _edge(spec: exp.WindowSpec, which: str) -> str:
    side, value = spec.args.get(f"{which}_side"), spec.args.get(which)
    if isinstance(side, str):
        zero = isinstance(value, exp.Expr) and number(value) == 0
        return "CURRENT ROW" if zero else side.upper()
    return "CURRENT ROW"
