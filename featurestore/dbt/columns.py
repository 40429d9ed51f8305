"""Which columns a model has, and of which types: from its contract, else from the warehouse's own table, else as far as declared.

An enforced contract says everything. Without one, the table in the warehouse is right wherever it exists, and its spelling of a name
is kept. A model that is not built yet has its declared columns, and what is declared nowhere is unresolved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED, ValueType
from featurestore.sql.types import parse_data_type

from .nodes import ColumnNode, Node
from .stored_names import stored_name


class ModelColumn(msgspec.Struct, frozen=True, gc=False):
    """One column of a model."""

    name: str
    value_type: ValueType
    stored_as: str | None = None
    """What the warehouse calls it, where that is another name."""

    declared: ColumnNode | None = None
    trouble: str = ""
    """Why no feature can have the column's type; empty where one can."""


class ModelColumns:
    """The columns of one model, found by name whatever its case."""

    def __init__(self, columns: tuple[ModelColumn, ...], *, known: bool, missing: tuple[str, ...] = ()) -> None:
        self._by_name = {column.name.casefold(): column for column in columns}
        self.known = known
        """Whether these are all the columns: a model that is not built yet may have more than it declares."""

        self.missing = missing
        """Columns that are declared and that the warehouse's table does not have."""

    def __iter__(self) -> Iterator[ModelColumn]:
        return iter(self._by_name.values())

    def find(self, name: str) -> ModelColumn | None:
        """The column of that name; where not all columns are known, one that nobody declared is believed to be there."""
        found = self._by_name.get(name.casefold())
        return found if found is not None or self.known else ModelColumn(name, UNRESOLVED)


def is_complete(node: Node, declared: Mapping[str, ColumnNode]) -> bool:
    """Whether the model's files say all its columns with their types, so that the warehouse need not be asked."""
    enforced = node.contract is not None and bool(node.contract.enforced)
    return enforced and bool(declared) and all(column.data_type for column in declared.values())


def model_columns(node: Node, declared: Mapping[str, ColumnNode], described: tuple[Column, ...] | None, dialect: str) -> ModelColumns:
    """The columns of a model.

    Args:
        described: the columns of its table in the warehouse; None where it was not asked for or does not exist.
    """
    if described is None:
        columns = tuple(_declared(column, dialect) for column in declared.values())
        return ModelColumns(columns, known=is_complete(node, declared))
    by_name = {column.name.casefold(): column for column in declared.values()}
    columns = tuple(_described(column, by_name.get(column.name.casefold())) for column in described)
    present = {column.name.casefold() for column in described}
    missing = tuple(column.name for name, column in by_name.items() if name not in present)
    return ModelColumns(columns, known=True, missing=missing)


def _declared(column: ColumnNode, dialect: str) -> ModelColumn:
    stored = stored_name(column.name, dialect, quoted=column.quote)
    stored_as = stored if stored != column.name else None
    if not column.data_type:
        return ModelColumn(column.name, UNRESOLVED, stored_as, column)
    try:
        return ModelColumn(column.name, parse_data_type(column.data_type, dialect), stored_as, column)
    except UnsupportedTypeError as error:
        return ModelColumn(column.name, UNRESOLVED, stored_as, column, str(error))


def _described(column: Column, declared: ColumnNode | None) -> ModelColumn:
    trouble = "no feature can have the type that it has in the warehouse. Cast it in the model, or leave it out."
    return ModelColumn(column.name, column.value_type, column.stored_as, declared, trouble if column.value_type == UNRESOLVED else "")
