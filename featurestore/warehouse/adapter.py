"""Any warehouse that dbt has an adapter for, through that adapter: slower than a way of its own, and as correct.

Snowflake, BigQuery, Databricks, Redshift, Trino, Athena, SQL Server and Fabric are reached so. dbt's adapter logs in; where its driver
speaks Arrow the answer comes as Arrow. A dialect must be known: its facts are what queries are built from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from featurestore.dbt.profiles import Target
from featurestore.errors import UnsupportedTypeError, WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import UNRESOLVED, ValueType
from featurestore.sql.dialects import Dialect, dialect_named, dialect_of
from featurestore.sql.types import parse_data_type

if TYPE_CHECKING:
    from sqlglot import exp

    from .adapter_session import AdapterSession

_WHOLE_TYPE = {"bigquery": "data_type", "databricks": "full_data_type", "duckdb": "data_type", "trino": "data_type"}
"""The column of the information schema that says a type with all its parameters. Elsewhere they stand in columns of their own."""

_DECIMALS = frozenset({"DECIMAL", "NUMERIC", "NUMBER"})


@dataclass(frozen=True)
class AdapterWarehouse:
    """A target of the dbt profile, reached through dbt's adapter for it."""

    target: Target = field(repr=False)
    facts: Dialect

    @classmethod
    def of_target(cls, target: Target) -> AdapterWarehouse:
        """The warehouse of a target. Raises WarehouseError where no dialect is known for its adapter."""
        try:
            return cls(target, dialect_named(dialect_of(target.type)))
        except WarehouseError as error:
            raise WarehouseError(
                f"The dbt target {target} cannot be used: queries are built for each warehouse from facts about its SQL, and there are "
                f"none yet for {target.type!r}. They are an entry of featurestore/sql/dialects.py (docs/reference/warehouses.md says "
                f"how to add one); the connection itself would be dbt-{target.type}'s.\n{error}"
            ) from None

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return self.facts.name

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[AdapterSession]:
        """Open a connection, and close it on the way out. Raises NotInstalledError, WarehouseError."""
        from .adapter_connection import connected
        from .adapter_session import AdapterSession

        with connected(self._adapter, self.target) as connection:
            session = AdapterSession(connection, self.facts)
            try:
                yield session
            finally:
                session.close()

    @cached_property
    def _adapter(self) -> Any:
        from .adapter_connection import open_adapter

        return open_adapter(self.target)

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist, as the information schema has them."""
        if not relations:
            return {}
        described = {}
        with self.session() as session:
            for wanted in relations:
                columns = self._columns(session, wanted)
                if columns:
                    described[wanted] = columns
        return described

    def _columns(self, session: AdapterSession, wanted: Relation) -> tuple[Column, ...]:
        from .adapter_session import missing, stored_column

        try:
            rows = session.query(_information(wanted, self.facts)).read_all().to_pylist()
        except WarehouseError as error:
            if missing(error):
                # Its schema or its database is not there.
                return ()
            raise
        return tuple(stored_column(str(row["column_name"]), _value_type(row, self.facts), self.facts) for row in rows)


def _information(wanted: Relation, dialect: Dialect) -> exp.Select:
    """What the information schema says of one relation's columns."""
    from sqlglot import exp

    from featurestore.sql.expressions import identifier, named, text_type

    whole = _WHOLE_TYPE.get(dialect.name)
    extras = ("numeric_precision", "numeric_scale") if whole is None else ()
    if dialect.name == "postgres":
        extras = (*extras, "udt_name")
    names = {"column_name": "column_name", "data_type": whole or "data_type", **{name: name for name in extras}}
    chosen = [named(exp.cast(exp.column(name), text_type(dialect)), alias) for alias, name in names.items()]
    here = [exp.EQ(this=exp.column("table_name"), expression=exp.Literal.string(wanted.identifier))]
    place = exp.Table(this=exp.to_identifier("COLUMNS"), db=exp.to_identifier("INFORMATION_SCHEMA"))
    if wanted.database is not None and dialect.name == "duckdb":
        # One information schema there speaks of all databases.
        here.append(exp.EQ(this=exp.column("table_catalog"), expression=exp.Literal.string(wanted.database)))
    elif wanted.database is not None:
        place.set("catalog", identifier(wanted.database))
    if dialect.name == "bigquery":
        place = exp.Table(
            this=exp.Dot.build([*map(identifier, filter(None, (wanted.database, wanted.schema))), place.args["db"], place.this])
        )
    elif wanted.schema is not None:
        here.append(exp.EQ(this=exp.column("table_schema"), expression=exp.Literal.string(wanted.schema)))
    return exp.select(*chosen).from_(place).where(*here).order_by(exp.column("ordinal_position"), copy=False)


def _value_type(row: Mapping[str, Any], dialect: Dialect) -> ValueType:
    word = str(row["data_type"])
    if word == "ARRAY" and row.get("udt_name"):
        word = f"{str(row['udt_name']).removeprefix('_')}[]"
    if word.upper() in _DECIMALS and row.get("numeric_precision"):
        word = f"{word}({row['numeric_precision']}, {row['numeric_scale'] or 0})"
    if dialect.name == "snowflake" and word == "NUMBER(38, 0)":
        # What INTEGER means there, and every other word for whole numbers.
        word = "INTEGER"
    try:
        return parse_data_type(word, dialect.name)
    except UnsupportedTypeError:
        return UNRESOLVED
