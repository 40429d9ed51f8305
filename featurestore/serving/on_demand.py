"""Works features on demand out for the rows of a request: a tree becomes functions over columns once, and no SQL is parsed here.

A null goes through every operation that does not ask for it, and nothing raises, so that all branches of a CASE may be worked out for all
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import ValueType
from featurestore.timestamps import as_utc

from .calculation import as_declared, calculation, compares, literal
from .inputs import TypedInputs

Values: TypeAlias = Sequence[Any]


class RequestRows(NamedTuple):
    """What expressions see of a request, each column as long as it has rows."""

    row_count: int
    requested_at: datetime
    """Naive, UTC."""

    features: Mapping[str, Values]
    """By the feature's own name; None where the entity has no value."""

    inputs: Mapping[str, Values]


Worked: TypeAlias = Callable[[RequestRows], Values]
"""The values of an expression for the rows of a request."""


@dataclass(frozen=True, slots=True)
class WorkedOut:
    """How the features on demand of a requested view are worked out, and where what was asked for stands then."""

    read: tuple[str, ...]
    """The view's own features that are read, by their own names."""

    asked: tuple[int | tuple[Worked, tuple[tuple[str, ValueType], ...]], ...]
    """For each feature asked for, its place among those, or what works it out and from which inputs."""

    @classmethod
    def of(cls, requested: RequestedView) -> WorkedOut | None:
        """That of a view. None: nothing is asked for on demand."""
        if not any(feature.on_demand for feature in requested.features):
            return None
        read = tuple(feature.name for feature in requested.read.features)
        asked = (
            (compiled(feature.on_demand.tree), tuple(feature.on_demand.inputs.items())) if feature.on_demand else read.index(feature.name)
            for feature in requested.features
        )
        return cls(read, tuple(asked))

    def columns(self, read: Sequence[Values], inputs: TypedInputs, count: int, now: datetime) -> list[Values]:
        """The columns that were asked for, in order.

        Args:
            read: those of the features that are read, None where an entity has none.
            inputs: the typed inputs of the request.
            count: how many rows it has.
            now: the moment of the request, zoned.
        """
        features = dict(zip(self.read, read, strict=True))
        requested_at = as_utc(now).replace(tzinfo=None)
        answer: list[Values] = []
        for each in self.asked:
            if isinstance(each, int):
                answer.append(read[each])
            else:
                work, needed = each
                answer.append(work(RequestRows(count, requested_at, features, {name: inputs[name, kind] for name, kind in needed})))
        return answer


def compiled(tree: Expression) -> Worked:
    """What works an expression out."""
    work, spelled = _work(tree), as_declared(tree.value_type)
    return work if spelled is None else _one(spelled, work)


def _work(node: Expression) -> Worked:
    match node.operation:
        case Operation.LITERAL:
            value = literal(node.value_type, node.text)
            return lambda rows: [value] * rows.row_count
        case Operation.FEATURE:
            name = node.text or ""
            return lambda rows: rows.features[name]
        case Operation.INPUT:
            name = node.text or ""
            return lambda rows: rows.inputs[name]
        case Operation.REQUESTED_AT:
            return lambda rows: [rows.requested_at] * rows.row_count
    operands = [_work(operand) for operand in node.operands]
    by_nulls = _BY_NULLS.get(node.operation)
    if by_nulls is not None:
        row = by_nulls(node.operands[-1].value_type)
        return lambda rows: [row(values) for values in zip(*(operand(rows) for operand in operands), strict=True)]
    if node.operation is Operation.IS_NULL:
        (operand,) = operands
        return lambda rows: [value is None for value in operand(rows)]
    function: Callable[..., Any] = _comparison(node) if node.operation in _COMPARISONS else calculation(node)
    if len(operands) == 1:
        return _one(function, operands[0])
    if len(operands) == 2:
        return _two(function, *operands)
    return lambda rows: [
        None if None in values else function(*values) for values in zip(*(operand(rows) for operand in operands), strict=True)
    ]


def _one(function: Callable[[Any], Any], operand: Worked) -> Worked:
    return lambda rows: [None if value is None else function(value) for value in operand(rows)]


def _two(function: Callable[[Any, Any], Any], left: Worked, right: Worked) -> Worked:
    return lambda rows: [
        None if first is None or second is None else function(first, second) for first, second in zip(left(rows), right(rows), strict=True)
    ]


def _comparison(node: Expression) -> Callable[[Any, Any], bool]:
    equal, less = compares(node.operands[0].value_type)
    return _COMPARISONS[node.operation](equal, less)


_Compare: TypeAlias = Callable[[Any, Any], bool]
_COMPARISONS: Mapping[Operation, Callable[[_Compare, _Compare], _Compare]] = {
    Operation.EQUAL: lambda equal, less: equal,
    Operation.NOT_EQUAL: lambda equal, less: lambda left, right: not equal(left, right),
    Operation.LESS: lambda equal, less: less,
    Operation.LESS_OR_EQUAL: lambda equal, less: lambda left, right: not less(right, left),
    Operation.GREATER: lambda equal, less: lambda left, right: less(right, left),
    Operation.GREATER_OR_EQUAL: lambda equal, less: lambda left, right: not less(left, right),
}


def _and(_: ValueType) -> Callable[[tuple[Any, Any]], bool | None]:
    return lambda values: False if False in values else None if None in values else True


def _or(_: ValueType) -> Callable[[tuple[Any, Any]], bool | None]:
    return lambda values: True if True in values else None if None in values else False


def _in(value_type: ValueType) -> Callable[[tuple[Any, ...]], bool | None]:
    equal, _ = compares(value_type)

    def row(values: tuple[Any, ...]) -> bool | None:
        wanted, *items = values
        if wanted is None:
            return None
        if any(item is not None and equal(wanted, item) for item in items):
            return True
        return None if None in items else False

    return row


def _case(_: ValueType) -> Callable[[tuple[Any, ...]], Any]:
    def row(values: tuple[Any, ...]) -> Any:
        for place in range(0, len(values) - 1, 2):
            if values[place]:
                return values[place + 1]
        return values[-1]

    return row


def _coalesce(_: ValueType) -> Callable[[tuple[Any, ...]], Any]:
    return lambda values: next((value for value in values if value is not None), None)


def _nullif(value_type: ValueType) -> Callable[[tuple[Any, Any]], Any]:
    equal, _ = compares(value_type)

    def row(values: tuple[Any, Any]) -> Any:
        value, other = values
        return None if value is not None and other is not None and equal(value, other) else value

    return row


def _extreme(greatest: bool) -> Callable[[ValueType], Callable[[tuple[Any, ...]], Any]]:
    def of_type(value_type: ValueType) -> Callable[[tuple[Any, ...]], Any]:
        _, less = compares(value_type)

        def row(values: tuple[Any, ...]) -> Any:
            best = None
            for value in values:
                if value is not None and (best is None or (less(best, value) if greatest else less(value, best))):
                    best = value
            return best

        return row

    return of_type


_BY_NULLS: Mapping[Operation, Callable[[ValueType], Callable[[tuple[Any, ...]], Any]]] = {
    Operation.AND: _and,
    Operation.OR: _or,
    Operation.IN: _in,
    Operation.CASE: _case,
    Operation.COALESCE: _coalesce,
    Operation.NULLIF: _nullif,
    Operation.GREATEST: _extreme(True),
    Operation.LEAST: _extreme(False),
}
"""Operations that take notice of nulls, each a function of the values of one row."""
