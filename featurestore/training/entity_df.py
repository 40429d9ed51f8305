"""What a caller may give as a spine: anything that speaks Arrow, SQL text, a Parquet file or a dbt model, and how each is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import TokenType, exp, tokenize
from sqlglot.errors import TokenError

from featurestore.dbt.table_references import ModelReference, parse_table_reference
from featurestore.errors import EntityDataframeError
from featurestore.registry.definitions import Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import identifier, relation

from .parquet_files import ParquetRows
from .spine import QuerySpine, Ref, SpineSource, ref
from .uploaded_spine import ArrowSpine, Kept

_FILE = re.compile(r"\s*\S+\.(?:parquet|pq)\s*")
"""No SQL is a single word that ends like this."""


def parse_spine(text: str) -> Ref | ParquetRows | str:
    """Read `ref('departures')` as a reference to that model, and `labels.parquet` as that file; anything else is SQL text."""
    found = parse_table_reference(text)
    if isinstance(found, ModelReference):
        return ref(found.model, version=found.version)
    return ParquetRows(Path(text.strip())) if _FILE.fullmatch(text) else text


def spine_source(entity_df: Any, relation_of: Callable[[str], Relation], dialect: str) -> SpineSource:
    """Where an entity dataframe's rows come from. Raises EntityDataframeError for what is no entity dataframe.

    Args:
        entity_df: an Arrow stream of any library, SQL text, or a `Ref`.
        relation_of: says where a dbt model of that name has its rows.
        dialect: sqlglot's name of the SQL.
    """
    if isinstance(entity_df, Ref):
        return QuerySpine(relation(relation_of(entity_df.model)), dialect_named(dialect), entity_df)
    if isinstance(entity_df, str):
        return QuerySpine(_subquery(entity_df, dialect), dialect_named(dialect), entity_df)
    if isinstance(entity_df, ParquetRows):
        return ArrowSpine(entity_df.open)
    if type(entity_df).__module__.partition(".")[0] == "pandas":
        return ArrowSpine(lambda: _from_pandas(entity_df))
    if isinstance(entity_df, pa.RecordBatchReader):
        return ArrowSpine(Kept(lambda: entity_df))
    if hasattr(entity_df, "__arrow_c_stream__"):
        again = isinstance(entity_df, pa.Table | pa.RecordBatch) or type(entity_df).__module__.partition(".")[0] == "polars"
        return ArrowSpine(_reader_of(entity_df) if again else Kept(_reader_of(entity_df)))
    if hasattr(entity_df, "__arrow_c_array__"):
        return ArrowSpine(lambda: pa.Table.from_batches([pa.record_batch(entity_df)]).to_reader())
    raise EntityDataframeError(
        f"A {type(entity_df).__name__} is no entity dataframe. Give a pandas or polars dataframe, an Arrow table or reader, "
        "a DuckDB relation, SQL text, or ref('a_model')."
    )


def _subquery(text: str, dialect: str) -> exp.Subquery:
    """The caller's own SQL, word for word; on lines of its own, since it may end in a comment."""
    stripped = _without_last_semicolon(text, dialect).strip()
    if not stripped:
        raise EntityDataframeError("The entity dataframe is an empty SQL text.")
    return exp.Subquery(this=exp.Var(this=f"\n{stripped}\n"), alias=exp.TableAlias(this=identifier("spine_query")))


def _without_last_semicolon(text: str, dialect: str) -> str:
    """SQL as it can stand in parentheses. Text that cannot even be split into words is left for the warehouse to refuse."""
    try:
        tokens = tokenize(text, dialect)
    except TokenError:
        return text
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        text = text[: tokens.pop().start]
    return text if tokens else ""


def _reader_of(entity_df: Any) -> Callable[[], pa.RecordBatchReader]:
    return lambda: pa.RecordBatchReader.from_stream(entity_df)


def _from_pandas(entity_df: Any) -> pa.RecordBatchReader:
    try:
        return pa.Table.from_pandas(entity_df, preserve_index=False).to_reader()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise EntityDataframeError(
            f"The entity dataframe has a column of mixed or unknown type: {'; '.join(map(str, error.args))}"
        ) from None
