"""Training data: for each row of the spine, the features as they were known then.

Nothing runs until the answer is asked for, and then in one connection: the spine goes into a temporary table, the rows are counted, the
plan is made, for each view the keys and timestamps of the rows that are seen go into a temporary table, and the answer streams out in
the spine's order. It is the answer of the one statement that `sql` shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp
from sqlglot.errors import SqlglotError

from featurestore.arrow import arrow_type, conformed, plain_type, unboxed
from featurestore.errors import NotInstalledError, RequestError, UnsupportedTypeError, WarehouseError
from featurestore.registry.definitions import FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import UNRESOLVED, is_nested
from featurestore.sql.dialects import Dialect, dialect_named, folding_of
from featurestore.sql.expressions import column, relation, render, table
from featurestore.sql.point_in_time.join import PointInTimeJoin, ViewPlan, point_in_time_query, point_in_time_stages
from featurestore.warehouse.base import IndexedSession, Warehouse, WarehouseSession, time_travel_point

from .crowd import crowd_of
from .entity_df import spine_source
from .limits import check_table_names, check_width, with_full_names, with_short_names
from .lock import Answered, Lock, LockedColumn, LockedWarehouse, Origin, holds_credential, make_lock, to_json
from .parquet_files import checked_target, write_parquet
from .plan import Decision, Explanation, decide, decide_windows, is_lookup_index
from .recorded import RecordedAnswer
from .spine import UPLOADED, LoadedSpine, SpineSource, SpineUse, checked_spine

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


def historical_features(
    warehouse: Warehouse,
    views: Sequence[RequestedView],
    entity_df: Any,
    *,
    relation_of: Callable[[str], Relation],
    event_timestamp: str = "event_timestamp",
    origin: Callable[[], Origin] | None = None,
) -> RetrievalJob:
    """The features of those views, joined to the spine at each row's own time.

    Args:
        warehouse: where the views are.
        views: what is asked for, in order.
        entity_df: an Arrow stream of any library, SQL text, or a `Ref`.
        relation_of: says where a dbt model of that name has its rows.
        event_timestamp: the spine's timestamp column.
        origin: says what the lock of a file holds of the project and the request. None: files have no lock.
    """
    for requested in views:
        if requested.unresolved:
            raise RequestError(
                f"{requested.view.name}:{requested.unresolved[0]} cannot be worked out: the types of what it needs are not known. "
                f"Run `dbt build --select {requested.view.name}`, or declare their data_type under `columns`."
            )
    return RetrievalJob(warehouse, tuple(views), spine_source(entity_df, relation_of, warehouse.dialect), event_timestamp, origin)


@dataclass(frozen=True)
class RetrievalJob:
    """A training set that can be had in several forms. Every form is computed afresh, from what the warehouse holds then."""

    warehouse: Warehouse = field(repr=False)
    views: tuple[RequestedView, ...] = field(repr=False)
    spine: SpineSource = field(repr=False)
    event_timestamp: str = "event_timestamp"
    origin: Callable[[], Origin] | None = field(default=None, repr=False)

    @property
    def sql(self) -> str:
        """The SELECT that answers it. A spine that comes from outside the warehouse is the temporary table `entity_df` in it."""
        with self._prepared() as prepared:
            return render(prepared.query(), prepared.dialect)

    def explain(self) -> Explanation:
        """How each view is read, and why; `str()` of it is a sentence for each."""
        with self._prepared() as prepared:
            return prepared.explanation

    def to_arrow_batches(self) -> pa.RecordBatchReader:
        """The answer as a stream, in the spine's order. The warehouse stays open until it is read to its end or closed."""
        return _opened(self._batches())

    def to_arrow(self) -> pa.Table:
        """The answer as an Arrow table."""
        return self.to_arrow_batches().read_all()

    def head(self, rows: int) -> pa.Table:
        """The answer for the first rows of the spine only."""
        return _opened(self._batches(rows)).read_all()

    def to_pandas(self) -> pd.DataFrame:
        """The answer as a pandas dataframe; integers and booleans in pandas' nullable types, since a feature may be missing."""
        pandas = _imported("pandas", "A pandas dataframe")
        nullable = {getattr(pa, name.lower())(): getattr(pandas, f"{name}Dtype")() for name in _NULLABLE_INTEGERS}
        nullable[pa.bool_()] = pandas.BooleanDtype()
        answer = self.to_arrow()
        features = {name for view in self.views for name in view.output_names}
        spine = answer.select([name for name in answer.column_names if name not in features]).to_pandas()
        values = answer.select([name for name in answer.column_names if name in features])
        return pandas.concat([spine, values.replace_schema_metadata(None).to_pandas(types_mapper=nullable.get)], axis=1)

    def to_polars(self) -> pl.DataFrame:
        """The answer as a polars dataframe."""
        polars = _imported("polars", "A polars dataframe")
        frame: pl.DataFrame = polars.from_arrow(self.to_arrow())
        return frame

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write the answer to a Parquet file, and its lock beside it, whole or not at all. Returns how many rows it has.

        The lock, `train.parquet.lock.json`, says what the answer was made of: `rebuild_training_set` makes it again and compares.
        """
        target = checked_target(path)
        if self.origin is None:
            with self.to_arrow_batches() as batches:
                return write_parquet(target, batches.schema, batches)
        with self.recorded() as answer:
            return write_parquet(target, answer.schema, answer, lambda: to_json(answer.lock()))

    def to_table(self, name: str, *, overwrite: bool = False) -> int:
        """Create a table of the warehouse, `schema.name` or `database.schema.name`. Returns how many rows it has.

        Raises RequestError where there is a table of that name, unless it is to be overwritten.
        """
        target = parse_table(name, self.warehouse.dialect)
        if not overwrite and self.warehouse.describe([target]):
            raise RequestError(
                f"There is a table {target} already. Choose another name, or ask for it to be replaced: overwrite=True (--overwrite)."
            )
        with self._prepared(self._use(whole=True), read_only=False) as prepared:
            check_table_names(prepared.views, self.views, prepared.dialect)
            return prepared.session.create_table(target, prepared.staged(travels=False))

    @contextmanager
    def recorded(self) -> Iterator[RecordedAnswer]:
        """The answer as a stream that has a lock at its end, while the warehouse stays open."""
        use = self._use()
        with self._prepared(use) as prepared:
            yield RecordedAnswer(self._answer(prepared, use), partial(self._lock, prepared))

    @contextmanager
    def spine_rows(self) -> Iterator[pa.RecordBatchReader]:
        """The rows of a spine that the warehouse holds, in their order, while it stays open."""
        with self.warehouse.session() as session:
            loaded = self.spine.put(session, self._use(whole=True))
            columns = [column(each.name) for each in loaded.columns]
            yield _as_declared(session.query(exp.select(*columns).from_(loaded.source).order_by(column(loaded.row_number))), ())

    def _lock(self, prepared: _Prepared, columns: Sequence[LockedColumn], rows: int) -> Lock:
        assert self.origin is not None
        given = self.spine.given
        withheld = isinstance(given, str) and holds_credential(given)
        warehouse = LockedWarehouse(self.warehouse.dialect, prepared.time_travel)
        sql = render(prepared.query(shown=not withheld), prepared.dialect)
        return make_lock(self.origin(), self.views, Answered(columns, rows, given, warehouse, sql))

    @contextmanager
    def _prepared(self, use: SpineUse | None = None, *, read_only: bool = True) -> Iterator[_Prepared]:
        use = use or self._use()
        with self.warehouse.session(read_only=read_only) as session:
            point = time_travel_point(session)
            yield _prepare(self, session, self.spine.put(session, use), use, point)

    def _use(self, *, whole: bool = False, first_rows: int | None = None) -> SpineUse:
        join_keys = {key.name for requested in self.views for key in requested.view.join_keys}
        inputs = {needed.name for requested in self.views for needed in requested.inputs}
        return SpineUse(self.event_timestamp, frozenset(join_keys | inputs), whole, first_rows)

    def _batches(self, first_rows: int | None = None) -> Iterator[pa.RecordBatch | pa.Schema]:
        """The schema, then the batches."""
        use = self._use(first_rows=first_rows)
        with self._prepared(use) as prepared:
            answer = self._answer(prepared, use)
            yield answer.schema
            yield from answer

    def _answer(self, prepared: _Prepared, use: SpineUse) -> pa.RecordBatchReader:
        found = with_full_names(prepared.session.query(prepared.staged(travels=True)), prepared.views, self.views)
        return self.spine.beside(_as_declared(found, self.views, prepared.boxed), use)


@dataclass(frozen=True)
class _Prepared:
    """A job whose spine stands in the warehouse and whose plan is made."""

    session: WarehouseSession
    dialect: Dialect
    views: tuple[RequestedView, ...]
    loaded: LoadedSpine
    event_timestamp: str
    explanation: Explanation
    time_travel: str | None

    def query(self, *, shown: bool = True) -> exp.Select:
        """The join in one statement, as a person is shown it; or, not `shown`, with the temporary table for the spine."""
        spine = checked_spine(self.loaded, self.views, self.event_timestamp, shown=shown)
        # Who runs it again may find other instants in the spine.
        plans = {view: replace(plan, between=None) for view, plan in self._plans.items()}
        return point_in_time_query(PointInTimeJoin(spine, self.views), plans, self.dialect)

    @property
    def boxed(self) -> bool:
        """Whether an answer that travels has each list, struct and map in a list of its own."""
        return not self.dialect.nullable_nested

    def staged(self, *, travels: bool) -> exp.Select:
        """The last step of the same join, the others being done: what matched stands in temporary tables."""
        spine = checked_spine(self.loaded, self.views, self.event_timestamp)
        join = PointInTimeJoin(spine, self.views, boxed=travels and self.boxed)
        stages = point_in_time_stages(join, self._plans, self.dialect)
        for name, rows in stages.tables:
            self.session.keep(name, rows)
        return stages.answer

    @property
    def _plans(self) -> dict[str, ViewPlan]:
        return {decision.view: decision.plan for decision in self.explanation.decisions}


def _prepare(job: RetrievalJob, session: WarehouseSession, loaded: LoadedSpine, use: SpineUse, point: str | None) -> _Prepared:
    checked_spine(loaded, job.views, job.event_timestamp)
    dialect = dialect_named(job.warehouse.dialect)
    spine_rows = session.row_count(table(UPLOADED)) or 0
    if use.first_rows is not None:
        spine_rows = min(spine_rows, use.first_rows)
    decisions = tuple(_decision(part, session, loaded, dialect, spine_rows, job.event_timestamp) for part in job.views)
    views = with_short_names(job.views, dialect)
    check_width(views, len(loaded.columns), dialect)
    return _Prepared(session, dialect, views, loaded, job.event_timestamp, Explanation(spine_rows, decisions), point)


def _decision(
    requested: RequestedView, session: WarehouseSession, loaded: LoadedSpine, dialect: Dialect, spine_rows: int, event_timestamp: str
) -> Decision:
    view_rows = _view_rows(session, requested)
    if not requested.view.aggregated:
        return decide(requested.view, dialect, spine_rows, view_rows, indexed=_is_indexed(session, requested.view, loaded, dialect))
    return decide_windows(
        requested.read, dialect, spine_rows, view_rows, crowd_of(session, requested.view, loaded, dialect, event_timestamp)
    )


def _view_rows(session: WarehouseSession, requested: RequestedView) -> int | None:
    view = requested.view
    try:
        return session.row_count(relation(view.relation))
    except WarehouseError as error:
        raise WarehouseError(
            f"Feature view {view.name!r} cannot be read from {view.relation}. "
            f"Run `dbt build --select {view.name}` if it is not built yet.\n{error}"
        ) from error


def _is_indexed(session: WarehouseSession, view: FeatureView, loaded: LoadedSpine, dialect: Dialect) -> bool:
    if not (dialect.indexed_lookup and isinstance(session, IndexedSession)):
        return False
    spine = {each.name: each.value_type for each in loaded.columns}
    return any(is_lookup_index(columns, view, spine) for columns in session.indexes(relation(view.relation)))


def _as_declared(answer: pa.RecordBatchReader, views: Sequence[RequestedView], boxed: bool = False) -> pa.RecordBatchReader:
    """The answer with every feature in the Arrow type of what it is declared as, however the warehouse spelled it.

    Where nested features are `boxed`, they are taken out of the lists around them.
    Raises UnsupportedTypeError where a value is not of that type.
    """
    features = {
        output: feature.value_type
        for requested in views
        for feature, output in zip(requested.features, requested.output_names, strict=True)
        if feature.value_type != UNRESOLVED
    }
    fields = [
        field.with_type(arrow_type(features[field.name]) if field.name in features else plain_type(field.type)) for field in answer.schema
    ]
    schema = pa.schema(fields)
    if schema.equals(answer.schema):
        return answer
    in_boxes = {name for name, value_type in features.items() if boxed and is_nested(value_type)}

    def declared(column: pa.Array, field: pa.Field) -> pa.Array:
        return _conformed(unboxed(column) if field.name in in_boxes else column, field)

    batches = (
        pa.RecordBatch.from_arrays([declared(*each) for each in zip(batch.columns, fields, strict=True)], schema=schema) for batch in answer
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _conformed(column: pa.Array, field: pa.Field) -> pa.Array:
    try:
        return conformed(column, field.type)
    except pa.ArrowException as error:
        raise UnsupportedTypeError(f"{field.name!r} is declared as {field.type}, but holds values that do not fit: {error}.") from error


def _opened(parts: Iterator[Any]) -> pa.RecordBatchReader:
    """A reader over an iterator that gives the schema first."""
    schema = next(parts)
    return pa.RecordBatchReader.from_batches(schema, parts)


def parse_table(name: str, dialect: str) -> Relation:
    """The relation that a text names: `schema.name` or `database.schema.name`. Raises RequestError."""
    try:
        parsed = exp.maybe_parse(name, into=exp.Table, dialect=dialect)
    except SqlglotError:
        raise RequestError(f"{name!r} is no table name. Write it like 'ml.training_set'.") from None
    stored = [_stored(parsed.args.get(part), dialect) for part in ("this", "db", "catalog")]
    return Relation(stored[0] or "", *stored[1:])


def _stored(part: exp.Expression | None, dialect: str) -> str | None:
    """A name as the warehouse will keep it, so that it is found again by whoever writes it the same way."""
    if part is None:
        return None
    return part.name if part.args.get("quoted") else folding_of(dialect).stored(part.name)


def _imported(package: str, purpose: str) -> Any:
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError:
        raise NotInstalledError(package, package, purpose) from None


_NULLABLE_INTEGERS = tuple(f"{sign}Int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "U"))
