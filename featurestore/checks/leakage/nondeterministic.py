"""A feature's value, or what decides its rows, comes out otherwise each time: `random()`, `uuid()`, `any_value(x)`, the first of unordered
rows.

Why it leaks: training is given one answer and serving another, for the same key and the same instant; built once more, the history has
other values, and no audit can tell a fault from a throw of the dice. `row_number() over (partition by id)` without an order, and the
first element of a list that was gathered without one, take whichever row the warehouse happens to read first.

How to mend: say which row is meant (`order by ordered_at, id`, down to something unique), take `max`, `min` or the newest by a column
(`max_by`, `argMax`) in place of any, and draw random numbers where training sets are split, not where features are made.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.functions import function_name, is_random
from featurestore.checks.parts import Part
from featurestore.checks.subject import ModelInView

RULE = Rule("nondeterministic", "A feature comes out otherwise each time", Severity.ERROR)

_ANY = frozenset(
    {"any", "any_value", "arbitrary", "anylast", "anyheavy", "first", "last", "sample", "groupuniqarraysample", "grouparraysample"}
)
_FIRST_OF_ALL = frozenset({"first", "last", "first_value", "last_value"})
_NUMBERS = (exp.RowNumber, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead, exp.Ntile, exp.First, exp.Last)
_GATHERS = (exp.ArrayAgg, exp.GroupConcat)
_GATHER_NAMES = frozenset({"grouparray", "collect_list", "list", "array_agg", "listagg", "string_agg", "group_concat"})
_SORTS = frozenset({"arraysort", "sortarray", "listsort", "list_sort", "array_sort", "sort_array", "arrayreversesort"})
_LISTS = (exp.Bracket,)
_PICKERS = frozenset(
    {"element_at", "list_extract", "list_first", "array_first", "arrayelement", "get", "split_part", "list_element", "try_element_at"}
)


def find(model: ModelInView, /) -> Iterator[Spot]:
    for part in model.parts:
        features = part.blamed
        if not features:
            continue
        for node in part.nodes():
            why = _why(node, part)
            if why:
                yield Spot(
                    node, features, why, "Say which row is meant by an order down to something unique, or take what does not depend on one."
                )


def _why(node: exp.Expr, part: Part) -> str:
    if is_random(node):
        return "It is drawn anew by each run: the history changes, and serving keeps the draw of the last one."
    if isinstance(node, exp.Window) and isinstance(_function(node), _NUMBERS) and not _is_ordered(node, part):
        return "Nothing says in which order the rows come, so each run may take another one."
    if _takes_any(node):
        return "It takes the value of whichever row comes first, and each run may read another one first."
    if _picks(node):
        gathered = next((each for each in node.walk() if _gathers_unordered(each)), None)
        if gathered is not None:
            return "The list is in no order, so what is at a place in it may be another value each time."
    if isinstance(node, exp.Distinct) and node.args.get("on") and part.select.expression.args.get("order") is None:
        return "Nothing says which row of each kind is kept."
    return ""


def _function(window: exp.Window) -> exp.Expr:
    node = window.this
    while isinstance(node, exp.IgnoreNulls | exp.RespectNulls | exp.Filter):
        node = node.this
    return node  # type: ignore[no-any-return]


def _is_ordered(window: exp.Window, part: Part) -> bool:
    named = [each for each in part.select.named_windows(window)]
    orders = [each.args.get("order") for each in (window, *named)]
    keys = [
        key.this if isinstance(key, exp.Ordered) else key for order in orders if isinstance(order, exp.Order) for key in order.expressions
    ]
    return any(key.find(exp.Column, exp.AggFunc) is not None for key in keys)


def _takes_any(node: exp.Expr) -> bool:
    if isinstance(node.parent, exp.Window) or isinstance(node.find_ancestor(exp.Window), exp.Window):
        window = node.find_ancestor(exp.Window)
        if isinstance(window, exp.Window) and any(each is node for each in window.this.walk()):
            return False
    if isinstance(node, exp.AnyValue):
        return not isinstance(node.this, exp.HavingMax | exp.Order) and not _is_constant(node.this)
    if isinstance(node, exp.First | exp.Last | exp.FirstValue | exp.LastValue):
        return not isinstance(node.this, exp.Order) and node.find(exp.Order) is None
    return function_name(node) in _ANY and isinstance(node, exp.AnonymousAggFunc | exp.CombinedAggFunc)


def _is_constant(node: object) -> bool:
    return isinstance(node, exp.Literal | exp.Boolean | exp.Null)


def _picks(node: exp.Expr) -> bool:
    return isinstance(node, (*_LISTS, exp.ArrayFirst, exp.GetExtract)) or function_name(node) in _PICKERS


def _sorts(node: exp.Expr | None) -> bool:
    return node is not None and (function_name(node) in _SORTS or node.key.replace("_", "") in _SORTS)


def _gathers_unordered(node: exp.Expr) -> bool:
    if not (isinstance(node, _GATHERS) or function_name(node) in _GATHER_NAMES):
        return False
    if isinstance(node.parent, exp.WithinGroup) or _sorts(node.parent):
        return False
    return node.find(exp.Order) is None
