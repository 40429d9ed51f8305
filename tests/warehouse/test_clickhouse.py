"""What only ClickHouse has: its profile, its users and settings, types that its Arrow output does not say, rows still to be merged."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_server import ClickHouseServer, clickhouse_server
from sqlglot import exp
from warehouses import opened

from featurestore.arrow import arrow_type, conformed
from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import DATE, INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, DecimalType, IntegerType, ListType, ValueType
from featurestore.sql.expressions import column, table
from featurestore.sql.latest import latest_rows
from featurestore.training.retrieval import RetrievalJob, historical_features
from featurestore.warehouse.clickhouse import ClickHouseWarehouse
from featurestore.warehouse.clickhouse_profile import read_profile
from featurestore.warehouse.open import open_warehouse

NOON = datetime(2024, 2, 29, 12)
pytestmark = pytest.mark.xdist_group("warehouse clickhouse")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as started:
        yield started


@contextmanager
def user(server: ClickHouseServer, **said: Any) -> Iterator[ClickHouseWarehouse]:
    """The warehouse as a profile with those settings reaches it."""
    yield of_profile(**{**server.output, **said})


def of_profile(**settings: Any) -> ClickHouseWarehouse:
    warehouse = open_warehouse(Target("shop", "dev", "clickhouse", {"type": "clickhouse", **settings}, Path()))
    assert isinstance(warehouse, ClickHouseWarehouse)
    return warehouse


def view_of(server: ClickHouseServer, name: str, *features: Feature, key: ValueType = INT64, **changes: Any) -> FeatureView:
    plain = FeatureView(
        name=name,
        unique_id=f"model.shop.{name}",
        path=f"models/{name}.sql",
        relation=server.relation(name),
        entities=(Entity("customer", (Column("customer_id", key),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=features,
    )
    return replace(plain, **changes)


def ask(warehouse: ClickHouseWarehouse, entity_df: Any, view: FeatureView) -> RetrievalJob:
    requested = RequestedView(view, view.features, tuple(feature.name for feature in view.features))
    return historical_features(warehouse, (requested,), entity_df, relation_of=lambda name: view.relation)


def spine(*keys: Any, data_type: pa.DataType | None = None) -> pa.Table:
    asked_at = pa.array([NOON + timedelta(days=1)] * len(keys), pa.timestamp("us"))
    return pa.table({"customer_id": pa.array(keys, data_type or pa.int64()), "event_timestamp": asked_at})


class TestProfiles:
    def test_say_what_dbt_reads_in_them(self) -> None:
        settings = {
            "host": "ch.example",
            "secure": True,
            "schema": "shop",
            "user": "dbt",
            "password": "hunter2",
            "compression": "lz4",
            "verify": False,
            "connect_timeout": 3,
            "send_receive_timeout": 60,
            "client_cert": "cert.pem",
            "client_cert_key": "key.pem",
            "server_host_name": "node.example",
            "cluster": "main",
            "custom_settings": {"max_threads": 2},
        }
        profile = read_profile(Target("shop", "dev", "clickhouse", settings, Path()))
        assert (profile.host, profile.port, profile.secure, profile.database, profile.cluster) == ("ch.example", 8443, True, "shop", "main")
        assert profile.custom_settings == {"max_threads": 2}
        assert profile.options == {
            "username": "dbt",
            "password": "hunter2",
            "compress": True,
            "verify": False,
            "connect_timeout": 3,
            "send_receive_timeout": 60,
            "client_cert": "cert.pem",
            "client_cert_key": "key.pem",
            "server_host_name": "node.example",
        }

    def test_have_dbts_defaults(self) -> None:
        profile = read_profile(Target("shop", "dev", "clickhouse", {}, Path()))
        assert (profile.shown, profile.database, profile.options["username"]) == ("http://localhost:8123", "default", "default")

    def test_keep_their_password(self, server: ClickHouseServer) -> None:
        warehouse = of_profile(**{**server.output, "user": "analyst", "password": "hunter2"})
        assert "hunter2" not in repr(warehouse)
        with pytest.raises(WarehouseError, match="Authentication failed") as refused, warehouse.session():
            pass
        assert "hunter2" not in str(refused.value)

    @pytest.mark.parametrize("said", [{"driver": "native"}, {"port": 9000}, {"port": 9440, "secure": True}])
    def test_that_ask_for_the_native_protocol_are_told_which_port_answers_by_http(self, said: dict[str, Any]) -> None:
        with pytest.raises(WarehouseError, match=f"driver: http` and `port: {8443 if said.get('secure') else 8123}"):
            of_profile(**said)

    def test_that_name_two_databases_are_refused(self) -> None:
        with pytest.raises(WarehouseError, match="leave out `database`"):
            of_profile(schema="shop", database="other")

    def test_of_a_server_that_is_not_there_name_it(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
            warehouse = of_profile(host="127.0.0.1", port=port)
            with pytest.raises(WarehouseError, match=f"http://127.0.0.1:{port} cannot be reached"):
                warehouse.describe([server_relation()])


def server_relation() -> Any:
    return ClickHouseServer(Path(), 0).relation("orders")


class TestUsers:
    def test_that_may_not_write_can_do_everything_but_that(self, server: ClickHouseServer) -> None:
        view = view_of(server, "few_values", Feature("value", INT64))
        server.load(view.relation, pa.table({"customer_id": [1], "happened_at": [NOON], "value": [5]}))
        with user(server, user="analyst", password="it's a 'secret'") as analyst:
            assert ask(analyst, spine(1, 2), view).to_arrow().column("value").to_pylist() == [5, None]
            with pytest.raises(WarehouseError, match="readonly"):
                ask(analyst, spine(1), view).to_table("shop.training_set")

    def test_that_may_not_change_settings_are_told_what_they_need(self, server: ClickHouseServer) -> None:
        with user(server, user="reader") as reader, pytest.raises(WarehouseError, match="readonly = 2"), reader.session():
            pass

    def test_settings_of_their_own_change_no_answer(self, server: ClickHouseServer) -> None:
        """The server's profile of the default user is in New York, joins without nulls and prefers aliases; so may a dbt profile."""
        view = view_of(server, "instants", Feature("value", INT64))
        server.run(
            "CREATE OR REPLACE TABLE shop.instants (customer_id Int64, happened_at DateTime, value Int64) "
            "ENGINE = MergeTree ORDER BY tuple()",
            "INSERT INTO shop.instants SELECT 1, toDateTime('2024-02-29 12:00:00', 'UTC'), 5",
        )
        asked = pa.table({"customer_id": [1, 1, 2], "event_timestamp": [NOON - timedelta(seconds=1), NOON, NOON]})
        with user(server, custom_settings={"session_timezone": "Asia/Tokyo", "join_use_nulls": 0, "max_threads": 1}) as warehouse:
            assert ask(warehouse, asked, view).to_arrow().column("value").to_pylist() == [None, 5, None]
            with warehouse.session() as session:
                chosen = session.query("select timezone() as zone, getSetting('max_threads') as threads").read_all().to_pylist()
        assert chosen == [{"zone": "UTC", "threads": 1}]


STORED = {
    "status": ("Enum8('new' = 2, 'old' = 1)", "'new'", STRING, "new"),
    "uuid": ("UUID", "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'", STRING, "61f0c404-5cb3-11e7-907b-a6006ad3dba0"),
    "city": ("LowCardinality(Nullable(String))", "'Oslo'", STRING, "Oslo"),
    "seen": ("DateTime", "'2024-02-29 12:00:00'", TIMESTAMP, NOON),
    "seen_there": ("DateTime('Europe/Paris')", "toDateTime('2024-02-29 12:00:00', 'UTC')", TIMESTAMP_UTC, NOON),
    "day": ("Date", "'2024-02-29'", DATE, date(2024, 2, 29)),
    "late_day": ("Date32", "'2200-01-01'", DATE, date(2200, 1, 1)),
    "count": ("UInt64", "18446744073709551615", IntegerType(64, signed=False), 2**64 - 1),
    "huge": ("Int128", "-17014118346046923173168730371588410572", DecimalType(38, 0), Decimal(-17014118346046923173168730371588410572)),
    "price": ("Decimal(18, 4)", "1.5", DecimalType(18, 4), Decimal("1.5000")),
    "address": ("IPv4", "'10.0.0.1'", STRING, "10.0.0.1"),
    "statuses": ("Array(Enum8('new' = 2, 'old' = 1))", "['old', 'new']", ListType(STRING), ["old", "new"]),
    "sightings": ("Array(Nullable(DateTime))", "['2024-02-29 12:00:00', NULL]", ListType(TIMESTAMP), [NOON, None]),
}


@pytest.fixture(scope="module")
def typed(server: ClickHouseServer) -> FeatureView:
    columns = ", ".join(f"{name} {stored}" for name, (stored, *_) in STORED.items())
    values = ", ".join(value for _, value, *_ in STORED.values())
    server.run(
        f"CREATE OR REPLACE TABLE shop.typed (customer_id UInt64, happened_at DateTime64(3), {columns}) "
        "ENGINE = MergeTree ORDER BY tuple()",
        f"INSERT INTO shop.typed SETTINGS session_timezone = 'UTC' VALUES (1, '2024-02-29 12:00:00', {values})",
    )
    key = IntegerType(64, signed=False)
    return view_of(server, "typed", *(Feature(name, found) for name, (_, _, found, _) in STORED.items()), key=key)


class TestTypes:
    def test_are_known(self, server: ClickHouseServer, typed: FeatureView) -> None:
        with user(server) as warehouse:
            found = {each.name: each.value_type for each in warehouse.describe([typed.relation])[typed.relation]}
        assert {name: found[name] for name in STORED} == {name: value_type for name, (_, _, value_type, _) in STORED.items()}

    def test_keep_their_values_in_training(self, server: ClickHouseServer, typed: FeatureView) -> None:
        with user(server) as warehouse:
            seen, unseen = ask(warehouse, spine(1, 2), typed).to_arrow().to_pylist()
        assert {name: _naive(seen[name]) for name in STORED} == {name: value for name, (*_, value) in STORED.items()}
        assert {unseen[name] for name in STORED} == {None}, "a list of a row that sees nothing too"

    def test_keep_their_values_on_the_way_online(self, server: ClickHouseServer, typed: FeatureView) -> None:
        with user(server) as warehouse, warehouse.session() as session:
            answer = session.query(latest_rows(typed, NOON, "clickhouse")).read_all().combine_chunks().to_batches()[0]
        found = {name: conformed(answer.column(name), arrow_type(value_type))[0].as_py() for name, (_, _, value_type, _) in STORED.items()}
        assert {name: _naive(value) for name, value in found.items()} == {name: value for name, (*_, value) in STORED.items()}

    def test_of_keys_may_differ_in_their_sign(self, server: ClickHouseServer, typed: FeatureView) -> None:
        """Identifiers are unsigned in many ClickHouse tables, and signed in every dataframe."""
        with user(server) as warehouse:
            for data_type in (pa.int32(), pa.int64(), pa.uint64()):
                answer = ask(warehouse, spine(1, 2, data_type=data_type), typed).to_arrow()
                assert answer.column("status").to_pylist() == ["new", None]
            assert ask(warehouse, spine(-1), typed).to_arrow().column("status").to_pylist() == [None]

    def test_no_feature_can_have_are_unresolved(self, server: ClickHouseServer) -> None:
        server.run("CREATE OR REPLACE TABLE shop.states (s AggregateFunction(sum, Int64), p Point) ENGINE = MergeTree ORDER BY tuple()")
        with user(server) as warehouse:
            found = warehouse.describe([server.relation("states")])[server.relation("states")]
        assert [str(each.value_type) for each in found] == ["unresolved", "unresolved"]


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


class TestTables:
    def test_that_replace_rows_are_read_as_if_they_had(self, server: ClickHouseServer) -> None:
        server.run(
            "CREATE OR REPLACE TABLE shop.replaced (customer_id Int64, happened_at DateTime, value Int64, written UInt32) "
            "ENGINE = ReplacingMergeTree(written) ORDER BY (customer_id, happened_at)",
            "SYSTEM STOP MERGES shop.replaced",
            "INSERT INTO shop.replaced SELECT 1, toDateTime('2024-02-29 12:00:00', 'UTC'), 9, 1",
            "INSERT INTO shop.replaced SELECT 1, toDateTime('2024-02-29 12:00:00', 'UTC'), 3, 2",
        )
        view = view_of(server, "replaced", Feature("value", INT64))
        with user(server) as warehouse:
            assert ask(warehouse, spine(1), view).to_arrow().column("value").to_pylist() == [3], "though 9 is the greater one"
            with warehouse.session() as session:
                published = session.query(latest_rows(view, NOON, "clickhouse")).read_all()
        assert published.column("value").to_pylist() == [3]

    def test_keep_lists_empty_where_a_row_sees_none(self, server: ClickHouseServer) -> None:
        """A table cannot hold a null list, so a training set that stays in the warehouse has an empty one."""
        view = view_of(server, "lists", Feature("basket", ListType(STRING)))
        rows = {"customer_id": [1], "happened_at": pa.array([NOON], pa.timestamp("us")), "basket": pa.array([["a"]], pa.list_(pa.string()))}
        server.load(view.relation, pa.table(rows))
        with user(server) as warehouse:
            assert ask(warehouse, spine(1, 2), view).to_arrow().column("basket").to_pylist() == [["a"], None]
            assert ask(warehouse, spine(1, 2), view).to_table("shop.kept_lists", overwrite=True) == 2
            with warehouse.session() as session:
                kept = session.query("select customer_id, basket from shop.kept_lists order by customer_id").read_all()
        assert kept.column("basket").to_pylist() == [["a"], []]

    def test_are_not_made_on_one_server_of_a_cluster(self, server: ClickHouseServer) -> None:
        view = view_of(server, "few_values", Feature("value", INT64))
        server.load(view.relation, pa.table({"customer_id": [1], "happened_at": [NOON], "value": [5]}))
        with user(server, cluster="main") as warehouse, pytest.raises(WarehouseError, match="to a file"):
            ask(warehouse, spine(1), view).to_table("shop.spread")

    def test_say_how_many_rows_they_have_without_being_read(self, server: ClickHouseServer) -> None:
        server.load(server.relation("counted"), pa.table({"n": pa.array(range(1000), pa.int64())}))
        server.run("CREATE OR REPLACE VIEW shop.counted_view AS SELECT * FROM shop.counted")
        with user(server) as warehouse, warehouse.session() as session:
            rows = [
                session.row_count(exp.Table(this=exp.to_identifier(name), db=exp.to_identifier("shop")))
                for name in ("counted", "counted_view")
            ]
        assert rows == [1000, None]

    def test_of_a_database_that_is_not_there_are_dbts_to_make(self, server: ClickHouseServer) -> None:
        with user(server, schema="never_built") as warehouse:
            assert warehouse.describe([server_relation()]) == {}
            with warehouse.session() as session, pytest.raises(WarehouseError, match=r"never_built.*dbt build"):
                session.query("select 1").read_all()


class TestAnswers:
    def test_that_break_off_do_not_pass_for_all_there_is(self, server: ClickHouseServer) -> None:
        breaks = "select throwIf(number = 900000) as n from numbers(1000000)"
        with user(server) as warehouse, warehouse.session() as session, pytest.raises(WarehouseError, match="gave up halfway"):
            session.query(breaks).read_all()

    def test_that_nobody_read_to_the_end_are_given_up(self, server: ClickHouseServer) -> None:
        with user(server) as warehouse, warehouse.session() as session:
            session.query("select number from numbers(100000000)").read_next_batch()
            assert session.query("select 1 as one").read_all().to_pylist() == [{"one": 1}]

    def test_are_refused_in_few_words(self, server: ClickHouseServer) -> None:
        with user(server) as warehouse, warehouse.session() as session:
            with pytest.raises(WarehouseError, match=r"no table.*`?no_such_table`?.*dbt build") as refused:
                session.query(exp.select(column("n")).from_(table("no_such_table"))).read_all()
            assert "http://" not in str(refused.value)


def test_temporary_tables_are_gone_when_the_session_is(server: ClickHouseServer) -> None:
    with opened(server).session() as session:
        session.upload("passing", pa.table({"n": [1]}).to_reader())
        session_id = session._client.get_client_setting("session_id")
    with server.client() as client:
        rows = client.query("select name from system.tables where is_temporary", settings={"session_id": session_id}).result_rows
    assert rows == []
