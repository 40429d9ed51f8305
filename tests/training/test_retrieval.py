"""A training set: any kind of spine in, the spine's rows in their order out, each with what was known at its time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.dbt.profiles import Target
from featurestore.errors import EntityDataframeError, RequestError, WarehouseError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry, RequestedView
from featurestore.registry.value_types import INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, DecimalType
from featurestore.training.entity_df import parse_spine
from featurestore.training.parquet_files import ParquetRows
from featurestore.training.retrieval import RetrievalJob, historical_features
from featurestore.training.spine import Ref, ref
from featurestore.warehouse.duckdb import DuckDBWarehouse

CUSTOMER, SHOP = Entity("customer", (Column("customer_id", INT64),)), Entity("shop", (Column("shop", STRING),))
ORDERS = FeatureView(
    name="orders",
    unique_id="model.shop.orders",
    path="models/orders.sql",
    relation=Relation("orders", "features"),
    entities=(CUSTOMER,),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", DecimalType(10, 2)), Feature("orders_7d", INT64)),
    ttl=timedelta(days=7),
)
VISITS = FeatureView(
    name="visits",
    unique_id="model.shop.visits",
    path="models/visits.sql",
    relation=Relation("visits", "features"),
    entities=(CUSTOMER, SHOP),
    event_timestamp=Column("visited_at", TIMESTAMP_UTC),
    features=(Feature("visits", INT64), Feature("amount", INT64)),
)
REGISTRY = Registry("shop", (ORDERS, VISITS))
FEATURES = REGISTRY.resolve(["orders:amount", "orders:orders_7d"])
BOTH = REGISTRY.resolve(["visits:visits", "orders:orders_7d"])


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2024, 3, day, hour, minute)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            CREATE SCHEMA features;
            CREATE TABLE features.orders AS FROM (VALUES
                (1, TIMESTAMP '2024-03-01 10:00', 10.00::DECIMAL(10, 2), 1::BIGINT),
                (1, TIMESTAMP '2024-03-03 10:00', 15.50, 2),
                (2, TIMESTAMP '2024-03-02 10:00', 99.99, NULL)
            ) AS orders(customer_id, ordered_at, amount, orders_7d);
            CREATE TABLE features.visits AS FROM (VALUES
                (1, 'north', TIMESTAMPTZ '2024-03-01 08:00:00+01:00', 3::BIGINT, 1::BIGINT),
                (1, 'south', TIMESTAMPTZ '2024-03-02 08:00:00+01:00', 4, 2)
            ) AS visits(customer_id, shop, visited_at, visits, amount);
            CREATE TABLE labels AS FROM (VALUES (2, TIMESTAMP '2024-03-04', true), (1, TIMESTAMP '2024-03-02', false)) AS
                labels(customer_id, event_timestamp, label);
        """)
    return path


@pytest.fixture
def warehouse(database: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse.of_target(Target("shop", "dev", "duckdb", {"path": database.name}, database.parent))


def ask(warehouse: DuckDBWarehouse, entity_df: Any, views: tuple[RequestedView, ...] = FEATURES, **options: Any) -> RetrievalJob:
    return historical_features(warehouse, views, entity_df, relation_of=lambda model: Relation(model), **options)


ASKED = {
    "customer_id": [1, 2, 1, 3, None],
    "event_timestamp": [at(3, 10), at(2, 9), at(2), at(5), at(5)],
    "label": ["a", "b", "c", "d", "e"],
}
ANSWER = {**ASKED, "amount": [Decimal("15.50"), None, Decimal("10.00"), None, None], "orders_7d": [2, None, 1, None, None]}


@pytest.mark.parametrize(
    "spine",
    [
        pytest.param(pa.table(ASKED), id="arrow table"),
        pytest.param(pa.table(ASKED).to_batches()[0], id="arrow batch"),
        pytest.param(pl.DataFrame(ASKED), id="polars"),
        pytest.param(pd.DataFrame(ASKED).astype({"customer_id": "Int64"}), id="pandas"),
    ],
)
def test_every_row_comes_back_in_its_order_with_what_was_known_then(warehouse: DuckDBWarehouse, spine: Any) -> None:
    assert ask(warehouse, spine).to_arrow().to_pydict() == ANSWER


def test_a_stream_that_can_be_read_once_answers_as_often_as_asked(warehouse: DuckDBWarehouse) -> None:
    job = ask(warehouse, pa.table(ASKED).to_reader(max_chunksize=2))
    assert job.to_arrow().to_pydict() == ANSWER
    assert job.to_arrow().to_pydict() == ANSWER


def test_a_relation_of_another_duckdb_connection_is_a_spine(warehouse: DuckDBWarehouse) -> None:
    with duckdb.connect() as connection:
        asked = pa.table(ASKED)
        connection.register("asked", asked)
        assert ask(warehouse, connection.sql("FROM asked")).to_arrow().to_pydict() == ANSWER


def test_sql_text_is_a_spine_whatever_it_ends_in(warehouse: DuckDBWarehouse) -> None:
    answer = ask(warehouse, "SELECT * FROM labels ORDER BY event_timestamp DESC; -- newest first").to_arrow()
    assert answer.to_pydict() == {
        "customer_id": [2, 1],
        "event_timestamp": [at(4), at(2)],
        "label": [True, False],
        "amount": [Decimal("99.99"), Decimal("10.00")],
        "orders_7d": [None, 1],
    }


def test_a_model_is_a_spine(warehouse: DuckDBWarehouse) -> None:
    assert ask(warehouse, ref("labels")).to_arrow().column("amount").to_pylist() == [Decimal("99.99"), Decimal("10.00")]


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("ref('labels')", Ref("labels")),
        (' ref( "labels" , v=2) ', Ref("labels.v2")),
        ("ref('labels', version='2')", Ref("labels.v2")),
        ("source('app', 'labels')", "source('app', 'labels')"),
        ("SELECT ref('labels')", "SELECT ref('labels')"),
        (" out/labels.parquet ", ParquetRows(Path("out/labels.parquet"))),
        ("SELECT * FROM labels.parquet", "SELECT * FROM labels.parquet"),
        ("FROM 'labels.parquet'", "FROM 'labels.parquet'"),
    ],
)
def test_a_spines_text_is_a_reference_as_in_dbt_a_file_or_sql(text: str, means: Ref | ParquetRows | str) -> None:
    assert parse_spine(text) == means


def test_the_shown_sql_runs_by_itself_and_says_the_same(warehouse: DuckDBWarehouse, database: Path) -> None:
    job = ask(warehouse, "SELECT * FROM labels ORDER BY label", BOTH[1:])
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql(job.sql).to_arrow_table() == job.to_arrow()


def test_a_table_called_spine_is_not_hidden_from_the_spines_own_sql(warehouse: DuckDBWarehouse, database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE spine AS FROM labels; CREATE TABLE asked AS FROM labels")
    job = ask(warehouse, "SELECT * FROM spine UNION ALL SELECT * FROM asked")
    assert job.to_arrow().num_rows == 4
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.sql(job.sql).to_arrow_table() == job.to_arrow()


def test_views_over_different_keys_are_joined_to_one_spine(warehouse: DuckDBWarehouse) -> None:
    spine = pa.table({"shop": ["north", "south", None], "customer_id": [1, 1, 1], "event_timestamp": [at(2, 7), at(2, 6, 59), at(9)]})
    answer = ask(warehouse, spine, BOTH).to_arrow()
    assert answer.column_names == ["shop", "customer_id", "event_timestamp", "visits", "orders_7d"]
    assert answer.column("visits").to_pylist() == [3, None, None]
    assert answer.column("orders_7d").to_pylist() == [1, 1, 2]


@pytest.mark.parametrize(
    "column",
    [
        pytest.param(pa.array([at(3, 10)] * 2, pa.timestamp("ns", "America/New_York")), id="zoned, nanoseconds"),
        pytest.param(pa.array([1, None], pa.timestamp("ns", "UTC")), id="one nanosecond"),
        pytest.param(pa.array(["a", None]).dictionary_encode(), id="category"),
        pytest.param(pa.array(["a", None], pa.large_string()), id="large text"),
        pytest.param(pa.array(["a", None], pa.string_view()), id="text view"),
        pytest.param(pa.array([b"a", None], pa.large_binary()), id="large bytes"),
        pytest.param(pa.nulls(2), id="nothing but null"),
        pytest.param(pa.array([timedelta(hours=1), None], pa.duration("ns")), id="duration"),
        pytest.param(pa.array([1.5, None], pa.float16()), id="half"),
        pytest.param(pa.array([1, None], pa.uint8()), id="small integer"),
        pytest.param(pa.array([at(1).date(), None], pa.date64()), id="long date"),
        pytest.param(pa.array([at(1).time(), None], pa.time32("s")), id="time of day"),
        pytest.param(pa.array([[1, None], None], pa.list_(pa.int16())), id="list"),
        pytest.param(pa.array([[1.0, 2.0], None], pa.list_(pa.float32(), 2)), id="embedding"),
        pytest.param(pa.array([{"a": 1}, None], pa.struct({"a": pa.int64()})), id="struct"),
        pytest.param(pa.array([Decimal("1.20"), None], pa.decimal128(9, 2)), id="decimal"),
    ],
)
def test_the_spines_own_columns_come_back_as_they_were(warehouse: DuckDBWarehouse, column: pa.Array) -> None:
    spine = pa.table({"row_number": column, "customer_id": [1, 2], "event_timestamp": [at(3, 10), at(3, 10)]})
    answer = ask(warehouse, spine).to_arrow()
    assert answer.select(spine.column_names).schema == spine.schema
    assert answer.column("row_number").to_pylist() == spine.column("row_number").to_pylist()


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(pa.array([at(3, 10)], pa.timestamp("s")), id="naive seconds"),
        pytest.param(pa.array([at(3, 10)], pa.timestamp("ns")), id="naive nanoseconds"),
        pytest.param(
            pa.array([datetime(2024, 3, 3, 11, tzinfo=timezone(timedelta(hours=1)))], pa.timestamp("us", "Europe/Paris")), id="zoned"
        ),
    ],
)
def test_an_instant_is_the_same_however_it_is_written(warehouse: DuckDBWarehouse, moments: pa.Array) -> None:
    assert ask(warehouse, pa.table({"customer_id": [1], "event_timestamp": moments})).to_arrow().column("orders_7d").to_pylist() == [2]


def test_a_date_is_its_midnight(warehouse: DuckDBWarehouse) -> None:
    spine = pa.table({"customer_id": [1, 1], "day": [at(3).date(), at(4).date()]})
    assert ask(warehouse, spine, event_timestamp="day").to_arrow().column("orders_7d").to_pylist() == [1, 2]


def test_an_empty_spine_answers_with_no_rows_and_all_columns(warehouse: DuckDBWarehouse) -> None:
    spine = pa.table({"customer_id": pa.array([], pa.int64()), "event_timestamp": pa.array([], pa.timestamp("us"))})
    answer = ask(warehouse, spine).to_arrow()
    assert (answer.num_rows, answer.column_names) == (0, ["customer_id", "event_timestamp", "amount", "orders_7d"])


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        pytest.param("UUID", ["2f8c1c0a-0000-4000-8000-000000000001", "no uuid"], id="uuid"),
        pytest.param(
            "ENUM ('2f8c1c0a-0000-4000-8000-000000000001', 'b')",
            ["2f8c1c0a-0000-4000-8000-000000000001", "no such value"],
            id="enumeration",
        ),
    ],
)
def test_text_keys_are_compared_as_text_whatever_the_warehouse_calls_them(
    warehouse: DuckDBWarehouse, database: Path, declared: str, values: list[str]
) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE sessions (id {declared}, seen_at TIMESTAMP, clicks BIGINT)")
        connection.execute("INSERT INTO sessions VALUES (?, TIMESTAMP '2024-03-01', 5)", [values[0]])
    view = replace(
        ORDERS,
        name="sessions",
        relation=Relation("sessions"),
        entities=(Entity("session", (Column("id", STRING),)),),
        event_timestamp=Column("seen_at", TIMESTAMP),
        features=(Feature("clicks", INT64),),
    )
    requested = (RequestedView(view, view.features, ("clicks",)),)
    spine = pa.table({"id": values, "event_timestamp": [at(2), at(2)]})
    assert ask(warehouse, spine, requested).to_arrow().column("clicks").to_pylist() == [5, None]


def test_duplicates_are_settled_by_features_that_nobody_asked_for(warehouse: DuckDBWarehouse, database: Path) -> None:
    """So that the answer is the row that materialize publishes, not a mixture of two."""
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO features.orders VALUES (1, TIMESTAMP '2024-03-03 10:00', 20.00, 1)")
    spine = pa.table({"customer_id": [1, 1], "event_timestamp": [at(3, 10), at(4)]})
    assert ask(warehouse, spine, REGISTRY.resolve(["orders:orders_7d"])).to_arrow().column("orders_7d").to_pylist() == [1, 1]


def test_views_that_are_views_in_the_warehouse_are_read_and_reckoned(warehouse: DuckDBWarehouse, database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("""
            ALTER TABLE features.orders RENAME TO orders_table;
            CREATE VIEW features.orders AS SELECT o.* FROM features.orders_table AS o JOIN labels USING (customer_id) WHERE o.amount > 0;
        """)
    job = ask(warehouse, pa.table(ASKED))
    assert job.to_arrow().to_pydict() == ANSWER
    assert "orders (about " in str(job.explain())


class TestForms:
    def test_pandas_keeps_integers_whole_and_the_spines_dtypes(self, warehouse: DuckDBWarehouse) -> None:
        spine = pd.DataFrame(ASKED, index=[5, 4, 3, 2, 1]).astype({"customer_id": "Int64", "label": "category"})
        answer = ask(warehouse, spine).to_pandas()
        pd.testing.assert_frame_equal(answer[["customer_id", "event_timestamp", "label"]], spine.reset_index(drop=True))
        assert str(answer["orders_7d"].dtype) == "Int64"
        assert answer["orders_7d"].isna().tolist() == [False, True, False, True, True]

    def test_polars(self, warehouse: DuckDBWarehouse) -> None:
        assert ask(warehouse, pl.DataFrame(ASKED)).to_polars().to_dict(as_series=False) == ANSWER

    def test_the_first_rows_only(self, warehouse: DuckDBWarehouse) -> None:
        assert ask(warehouse, pa.table(ASKED)).head(2).to_pydict() == {name: values[:2] for name, values in ANSWER.items()}

    def test_parquet_appears_whole(self, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
        path = tmp_path / "train.parquet"
        assert ask(warehouse, pa.table(ASKED)).to_parquet(path) == 5
        assert pq.read_table(path).to_pydict() == ANSWER

    def test_parquet_that_fails_leaves_what_was_there(self, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
        path = tmp_path / "out" / "train.parquet"
        path.parent.mkdir()
        path.write_text("before")
        spine = "SELECT 1 AS customer_id, TIMESTAMP '2024-03-03' AS event_timestamp, CAST('x' AS INTEGER) AS broken"
        with pytest.raises(WarehouseError, match="Could not convert"):
            ask(warehouse, spine).to_parquet(path)
        assert [(file.name, file.read_text()) for file in path.parent.iterdir()] == [("train.parquet", "before")]

    def test_a_table_is_made_and_made_again(self, warehouse: DuckDBWarehouse, database: Path) -> None:
        assert ask(warehouse, pa.table(ASKED).slice(0, 2)).to_table("ml.train") == 2
        with pytest.raises(RequestError, match=r"There is a table ml\.train already"):
            ask(warehouse, pa.table(ASKED)).to_table("ml.train")
        assert ask(warehouse, pa.table(ASKED)).to_table("ml.train", overwrite=True) == 5
        with duckdb.connect(str(database), read_only=True) as connection:
            assert connection.sql("FROM ml.train").to_arrow_table().to_pydict() == ANSWER

    def test_a_table_needs_a_name(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(RequestError, match=r"Write it like 'ml.training_set'"):
            ask(warehouse, pa.table(ASKED)).to_table("not a table;")

    def test_a_stream_given_up_halfway_lets_go_of_the_warehouse(self, warehouse: DuckDBWarehouse, database: Path) -> None:
        batches = ask(warehouse, pa.table(ASKED)).to_arrow_batches()
        batches.close()
        del batches
        duckdb.connect(str(database)).close()


class TestBadSpines:
    @pytest.mark.parametrize(
        ("spine", "says"),
        [
            (
                {"customer": [1], "event_timestamp": [at(1)]},
                "no column 'customer_id', by which feature view 'orders' is joined. Did you mean 'customer'",
            ),
            ({"customer_id": ["1"], "event_timestamp": [at(1)]}, "'customer_id' holds string, but it is int64 in feature view 'orders'"),
            ({"customer_id": [1.5], "event_timestamp": [at(1)]}, "'customer_id' holds float64"),
            (
                {"customer_id": [1], "event_timestamp": ["2024-03-01"]},
                "'event_timestamp' holds string, not timestamps or dates. Parse it first",
            ),
            ({"customer_id": [1], "happened": [at(1)]}, "no timestamp column 'event_timestamp'. Say event_timestamp='happened'"),
            ({"customer_id": [1], "event_timestamp": [at(1)], "Amount": [1]}, "a column 'Amount', as a feature of 'orders' is called"),
            ({"customer_id": [1], "event_timestamp": [at(1)], "Event_Timestamp": [1]}, "two columns called"),
        ],
    )
    def test_the_column_is_named(self, warehouse: DuckDBWarehouse, spine: dict[str, list[Any]], says: str) -> None:
        with pytest.raises(EntityDataframeError) as caught:
            ask(warehouse, pa.table(spine)).to_arrow()
        assert says in str(caught.value)

    def test_a_clash_of_names_says_what_to_ask_for(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(EntityDataframeError, match="full_feature_names=True"):
            ask(warehouse, pa.table({**ASKED, "amount": [1] * 5})).explain()

    def test_pandas_columns_of_mixed_types_are_refused(self, warehouse: DuckDBWarehouse) -> None:
        spine = pd.DataFrame({"customer_id": [1, "a"], "event_timestamp": [at(1), at(1)]})
        with pytest.raises(EntityDataframeError, match="customer_id"):
            ask(warehouse, spine).to_arrow()

    def test_something_else_altogether(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(EntityDataframeError, match="A dict is no entity dataframe"):
            ask(warehouse, {"customer_id": [1]})

    def test_sql_that_the_warehouse_refuses(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(WarehouseError, match="SELEC"):
            ask(warehouse, "SELEC 1").to_arrow()

    def test_sql_that_is_empty(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(EntityDataframeError, match="empty"):
            ask(warehouse, " ; ")

    def test_a_variable_of_the_program_is_no_table(self, warehouse: DuckDBWarehouse) -> None:
        labels_here = pa.table(ASKED)
        with pytest.raises(WarehouseError, match="no table or view labels_here"):
            ask(warehouse, "SELECT * FROM labels_here").to_arrow()
        assert labels_here.num_rows == 5


def test_a_view_that_was_never_built_names_its_model(warehouse: DuckDBWarehouse, database: Path) -> None:
    with duckdb.connect(str(database)) as connection:
        connection.execute("DROP TABLE features.orders")
    with pytest.raises(WarehouseError, match="dbt build --select orders"):
        ask(warehouse, pa.table(ASKED)).to_arrow()


def test_explain_says_how_each_view_is_read_and_why(warehouse: DuckDBWarehouse) -> None:
    spine = pa.table({"shop": ["north"], "customer_id": [1], "event_timestamp": [at(2)]})
    explanation = str(ask(warehouse, spine, BOTH).explain())
    assert explanation.splitlines() == [
        "spine: 1 rows",
        "visits (about 2 rows): asof. duckdb has an ASOF join, which runs on keys and timestamps alone. "
        "The view has 2.0 times as many rows as the spine: too few for leaving some out first to pay.",
        "orders (about 3 rows): asof. duckdb has an ASOF join, which runs on keys and timestamps alone. "
        "The view has 3.0 times as many rows as the spine: too few for leaving some out first to pay.",
    ]
