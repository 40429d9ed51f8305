"""What only PostgreSQL has: its profile, its types, its indexes, its roles, its infinities, and names of 63 bytes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from postgres_server import PostgresDatabase, postgres_database

from featurestore.dbt.profiles import Target
from featurestore.errors import NotInstalledError, RequestError, WarehouseError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    UNRESOLVED,
    DecimalType,
    IntegerType,
    ListType,
    ValueType,
)
from featurestore.sql.expressions import relation
from featurestore.training.retrieval import RetrievalJob, historical_features
from featurestore.warehouse.open import open_warehouse
from featurestore.warehouse.postgres import PostgresWarehouse

pytestmark = pytest.mark.xdist_group("warehouse postgres")

NOON = datetime(2024, 2, 29, 12)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresDatabase]:
    with postgres_database(tmp_path_factory.mktemp("postgres")) as running:
        yield running


def warehouse(running: PostgresDatabase, /, **changes: Any) -> PostgresWarehouse:
    output = {name: value for name, value in {**running.output, **changes}.items() if value is not None}
    opened = open_warehouse(Target("shop", "dev", "postgres", output, running.directory))
    assert isinstance(opened, PostgresWarehouse)
    return opened


def one(of: PostgresWarehouse, query: str) -> Any:
    with of.session() as session:
        return session.query(query).read_all().column(0).to_pylist()[0]


def view_of(database: PostgresDatabase, name: str, *features: Feature, **changes: Any) -> FeatureView:
    plain = FeatureView(
        name=name,
        unique_id=f"model.shop.{name}",
        path=f"models/{name}.sql",
        relation=database.relation(name),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=features,
    )
    return replace(plain, **changes)


def ask(of: PostgresWarehouse, entity_df: Any, *views: FeatureView, full_names: bool = False, **options: Any) -> RetrievalJob:
    def output(view: FeatureView, feature: Feature) -> str:
        return f"{view.name}__{feature.name}" if full_names else feature.name

    requested = tuple(RequestedView(view, view.features, tuple(output(view, feature) for feature in view.features)) for view in views)
    return historical_features(of, requested, entity_df, relation_of=lambda name: Relation(name, "public", "postgres"), **options)


def spine(*keys: Any, at: datetime = NOON) -> pa.Table:
    return pa.table({"customer_id": list(keys), "event_timestamp": pa.array([at] * len(keys), pa.timestamp("us"))})


class TestProfile:
    def test_every_documented_key_reaches_the_server(self, database: PostgresDatabase) -> None:
        database.execute("drop role if exists analyst", "create role analyst", "create schema if not exists elsewhere")
        of = warehouse(
            database,
            role="analyst",
            search_path="elsewhere, public",
            application_name="nightly training",
            connect_timeout=5,
            keepalives_idle=30,
            sslmode="prefer",
            retries=2,
        )
        told = "current_user, current_setting('search_path'), current_setting('application_name')"
        assert one(of, f"select concat_ws(' | ', {told})") == "analyst | elsewhere, public | nightly training"

    def test_the_other_names_that_dbt_takes_are_taken(self, database: PostgresDatabase) -> None:
        aliased = warehouse(database, dbname=None, password=None, **{"pass": "secret", "database": "postgres"})
        assert one(aliased, "select current_database()::text") == "postgres"

    @pytest.mark.parametrize("key", ["host", "user", "port", "dbname", "password"])
    def test_what_is_missing_is_named(self, database: PostgresDatabase, key: str) -> None:
        with pytest.raises(WarehouseError, match=rf"shop\.dev \(postgres\) has no {key}\."):
            warehouse(database, **{key: None})

    def test_a_secret_of_any_characters_is_shown_nowhere(self, database: PostgresDatabase) -> None:
        secret = r"it's a \ secret = 'x' host=elsewhere"
        of = warehouse(database, password=secret)
        assert one(of, "select 1") == 1
        assert "secret" not in repr(of)
        with pytest.raises(WarehouseError) as caught, warehouse(database, password=secret, user="nobody there", retries=0).session():
            pass
        assert "nobody there" in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_a_server_that_is_not_there_is_named(self, database: PostgresDatabase) -> None:
        of = warehouse(database, host="/nowhere", retries=0)
        with pytest.raises(WarehouseError, match=r"postgres on /nowhere:5432 cannot be reached"), of.session():
            pass

    def test_without_the_driver_the_extra_is_named(self, database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "adbc_driver_postgresql", None)
        with pytest.raises(NotInstalledError, match="postgres"), warehouse(database).session():
            pass


class TestSession:
    def test_settings_of_the_server_decide_nothing(self, database: PostgresDatabase) -> None:
        with warehouse(database).session() as session:
            told = session.query("select now()::text, current_setting('TimeZone'), interval '90 minutes'::text").read_all().to_pylist()[0]
        now, zone, interval = told.values()
        assert now.endswith("+00")
        assert (zone, interval) == ("UTC", "01:30:00")
        assert one(warehouse(database), "select timestamp '2024-02-01'::text") == "2024-02-01 00:00:00"

    def test_it_sees_one_state_of_the_database(self, database: PostgresDatabase) -> None:
        database.execute("drop table if exists moving", "create table moving as select 1 as value")
        with warehouse(database).session() as session:
            assert session.query("select value from moving").read_all().to_pylist() == [{"value": 1}]
            database.execute("update moving set value = 2")
            assert session.query("select value from moving").read_all().to_pylist() == [{"value": 1}]
        assert one(warehouse(database), "select value from moving") == 2

    def test_reading_changes_nothing(self, database: PostgresDatabase) -> None:
        database.execute("drop table if exists kept", "create table kept as select 1 as value")
        with warehouse(database).session() as session:
            session.query("delete from kept returning value").read_all()
        assert one(warehouse(database), "select count(*) from kept") == 1

    def test_an_answer_streams_and_its_rest_is_not_waited_for(self, database: PostgresDatabase) -> None:
        """Sorted or hashed, so many rows would fill this machine."""
        with warehouse(database).session() as session:
            batches = session.query("select i, repeat('x', 1000) as text from (select generate_series(1, 1000000000) as i) as rows")
            assert next(iter(batches)).num_rows > 1000

    def test_what_goes_wrong_halfway_is_told_in_the_servers_words(self, database: PostgresDatabase) -> None:
        with warehouse(database).session() as session:
            batches = session.query("select 1 / (900000 - i) as value from generate_series(1, 1000000) as rows (i)")
            with pytest.raises(WarehouseError, match=r"gave up halfway: .*division by zero$"):
                batches.read_all()

    def test_a_table_that_is_not_there_and_one_that_is_not_allowed(self, database: PostgresDatabase) -> None:
        database.execute("drop table if exists hidden", "create table hidden as select 1 as value", "drop role if exists guest")
        database.execute("create role guest")
        with pytest.raises(WarehouseError, match=r"no table or view nothing_here\. Run `dbt build`"):
            one(warehouse(database), "select * from nothing_here")
        with pytest.raises(WarehouseError, match=r"permission denied for table hidden.*`grants:` in dbt"):
            one(warehouse(database, role="guest"), "select * from hidden")

    def test_a_statement_without_an_answer_is_no_query(self, database: PostgresDatabase) -> None:
        with pytest.raises(WarehouseError, match="answers nothing"):
            one(warehouse(database), "set local work_mem = '8MB'")

    def test_a_view_or_an_index_is_as_large_as_its_statistics_say(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists sized cascade",
            "create table sized as select i from generate_series(1, 20000) as rows (i)",
            "create view sized_view as select i from sized where i > 0",
            "create materialized view sized_copy as select i from sized",
            "analyze sized",
            "analyze sized_copy",
        )
        with warehouse(database).session() as session:
            for name in ("sized", "sized_view", "sized_copy"):
                assert session.row_count(relation(database.relation(name))) == pytest.approx(20_000, rel=0.1)


class TestTypes:
    def test_columns_are_what_they_count_as(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists many_types",
            "drop type if exists mood cascade",
            "drop domain if exists price cascade",
            "create type mood as enum ('glad', 'sad')",
            "create domain price as numeric(9, 2)",
            """create table many_types (a char(5), b varchar(3), c uuid, d json, e jsonb, f mood, g price, h numeric, i timestamptz(3),
               j timestamp(0), k uuid[], l mood[], m numeric(5, 2)[], n smallint, o interval, p inet, q time, r "char")""",
        )
        columns = warehouse(database).describe([database.relation("many_types")])[database.relation("many_types")]
        texts = dict.fromkeys("abcdefr", STRING)
        assert {column.name: column.value_type for column in columns} == {
            **texts,
            "g": DecimalType(9, 2),
            "h": UNRESOLVED,
            "i": TIMESTAMP_UTC,
            "j": TIMESTAMP,
            "k": ListType(STRING),
            "l": ListType(STRING),
            "m": ListType(DecimalType(5, 2)),
            "n": IntegerType(16),
            "o": UNRESOLVED,
            "p": UNRESOLVED,
            "q": columns[16].value_type,
        } | {"r": columns[17].value_type}

    @pytest.mark.parametrize(
        ("stored", "value_type", "meant"),
        [
            ("'ab'::char(5)", STRING, "ab"),
            ("'00000000-0000-0000-0000-00000000002a'::uuid", STRING, "00000000-0000-0000-0000-00000000002a"),
            ("""'{"a": [1, 2]}'::json""", STRING, '{"a": [1, 2]}'),
            ("""'{"a":[1,2]}'::jsonb""", STRING, '{"a": [1, 2]}'),
            ("array['00000000-0000-0000-0000-00000000002a'::uuid]", ListType(STRING), ["00000000-0000-0000-0000-00000000002a"]),
            ("array[1.5, null]::numeric(5, 2)[]", ListType(DecimalType(5, 2)), [pytest.approx(1.5), None]),
            ("array['{}'::jsonb, null]", ListType(STRING), ["{}", None]),
            ("12345678901234567890.123456::numeric", DecimalType(38, 6), "12345678901234567890.123456"),
            ("'infinity'::float8", FLOAT64, math.inf),
        ],
    )
    def test_features_are_read_as_what_they_count_as(
        self, database: PostgresDatabase, stored: str, value_type: ValueType, meant: Any
    ) -> None:
        database.execute(
            "drop table if exists stored_values",
            f"create table stored_values as select 1::bigint as customer_id, timestamp '2024-01-01' as happened_at, {stored} as value",
        )
        answer = ask(warehouse(database), spine(1), view_of(database, "stored_values", Feature("value", value_type))).to_arrow()
        (found,) = answer.column("value").to_pylist()
        assert (str(found) if isinstance(value_type, DecimalType) else found) == meant

    @pytest.mark.parametrize("key", ["char(5)", "uuid", "varchar(40)"])
    def test_keys_match_as_text(self, database: PostgresDatabase, key: str) -> None:
        text = "00000000-0000-0000-0000-00000000002a" if key == "uuid" else "ab"
        database.execute(
            "drop table if exists text_keys",
            f"create table text_keys as select '{text}'::{key} as customer_id, timestamp '2024-01-01' as happened_at, 5::bigint as value",
        )
        view = view_of(database, "text_keys", Feature("value", INT64), entities=(Entity("customer", (Column("customer_id", STRING),)),))
        assert ask(warehouse(database), spine(text, "?"), view).to_arrow().column("value").to_pylist() == [5, None]

    def test_keys_of_unsigned_integers_keep_their_values(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists wide_keys",
            "create table wide_keys as select 18446744073709551615::numeric(20) as customer_id, timestamp '2024-01-01' as happened_at, "
            "5::bigint as value union all select -1, timestamp '2024-01-01', 6",
        )
        view = view_of(
            database, "wide_keys", Feature("value", INT64), entities=(Entity("customer", (Column("customer_id", DecimalType(20, 0)),)),)
        )
        asked = spine(1).set_column(0, "customer_id", pa.array([2**64 - 1], pa.uint64()))
        assert ask(warehouse(database), asked, view).to_arrow().column("value").to_pylist() == [5]

    def test_infinite_instants_are_what_they_are_elsewhere(self, database: PostgresDatabase) -> None:
        """As DuckDB writes them to Arrow: the largest number and its negative."""
        database.execute(
            "drop table if exists endless",
            "create table endless as select n::bigint as customer_id, timestamp '2024-01-01' as happened_at, "
            "at, at at time zone 'UTC' as zoned, at::date as day, array[at] as many "
            "from (values (1, timestamp 'infinity'), (2, '-infinity'), (3, '2024-01-01')) rows (n, at)",
        )
        features = [Feature("at", TIMESTAMP), Feature("zoned", TIMESTAMP_UTC), Feature("day", DATE), Feature("many", ListType(TIMESTAMP))]
        answer = ask(warehouse(database), spine(1, 2, 3), view_of(database, "endless", *features)).to_arrow()
        largest = 2**63 - 1
        new_year = 1_704_067_200_000_000
        for name in ("at", "zoned"):
            assert answer.column(name).cast(pa.int64()).to_pylist() == [largest, -largest, new_year]
        assert answer.column("day").cast(pa.int32()).to_pylist() == [2**31 - 1, -(2**31 - 1), new_year // 86_400_000_000]
        many = answer.column("many").combine_chunks()
        assert many.flatten().cast(pa.int64()).to_pylist() == [largest, -largest, new_year]

    def test_a_number_that_no_decimal_is_names_its_column(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists no_number",
            "create table no_number (customer_id bigint, happened_at timestamp, price numeric(9, 2))",
            "insert into no_number values (1, '2024-01-01', 'NaN')",
        )
        view = view_of(database, "no_number", Feature("price", DecimalType(9, 2)))
        with pytest.raises(WarehouseError, match=r"'price' holds what no decimal is.*nullif"):
            ask(warehouse(database), spine(1), view).to_arrow()

    def test_a_query_may_average_its_labels(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists labelled",
            "create table labelled as select 1::bigint as customer_id, timestamp '2024-01-01' as happened_at, 5::bigint as value",
        )
        query = (
            "select customer_id, happened_at as event_timestamp, avg(value) as label, gen_random_uuid() as id from labelled group by 1, 2"
        )
        answer = ask(warehouse(database), query, view_of(database, "labelled", Feature("value", INT64))).to_arrow()
        assert answer.schema.field("label").type == pa.float64()
        assert answer.schema.field("id").type == pa.string()
        assert answer.column("label").to_pylist() == [5.0]


def test_ties_are_broken_by_bytes_whatever_the_collation(database: PostgresDatabase) -> None:
    """The server's own order has `a` before `B`, as dictionaries have, unless it came from a wheel, which knows no languages."""
    database.execute(
        "drop table if exists tied_texts",
        "create table tied_texts as select 1::bigint as customer_id, timestamp '2024-01-01' as happened_at, name, array[name] as names "
        "from unnest(array['a', 'Z', 'é', 'B']) as rows (name)",
    )
    view = view_of(database, "tied_texts", Feature("name", STRING), Feature("names", ListType(STRING)))
    only_lists = replace(view, features=view.features[1:])
    assert ask(warehouse(database), spine(1), view).to_arrow().column("name").to_pylist() == ["é"]
    assert ask(warehouse(database), spine(1), only_lists).to_arrow().column("names").to_pylist() == [["é"]]


class TestIndexes:
    @pytest.fixture
    def view(self, database: PostgresDatabase) -> FeatureView:
        database.execute(
            "drop table if exists visits cascade",
            "create table visits as select (i % 500)::bigint as customer_id, i::bigint as value, "
            "timestamp '2024-01-01' + i * interval '1 second' as happened_at from generate_series(1, 50000) as rows (i)",
            "analyze visits",
        )
        return view_of(database, "visits", Feature("value", INT64))

    @pytest.mark.parametrize(
        ("index", "used"),
        [
            ("customer_id, happened_at", True),
            ("customer_id, happened_at desc, value", True),
            ("happened_at, customer_id", False),
            ("customer_id", False),
            ("customer_id, (happened_at + interval '1 hour')", False),
            ("customer_id, happened_at) where (value > 0", False),
        ],
    )
    def test_one_that_begins_with_keys_and_timestamp_is_used(
        self, database: PostgresDatabase, view: FeatureView, index: str, used: bool
    ) -> None:
        without = ask(warehouse(database), spine(1, 2, 700), view)
        expected = without.to_arrow()
        assert "visits (about 50,000 rows): thin_union" in str(without.explain())
        database.execute(f"create index on visits ({index})")
        job = ask(warehouse(database), spine(1, 2, 700), view)
        assert ("visits (about 50,000 rows): lateral. An index begins with" in str(job.explain())) is used
        assert job.to_arrow() == expected
        assert ("LATERAL" in job.sql) is used

    def test_it_is_not_used_for_a_large_spine_or_keys_that_would_be_converted(self, database: PostgresDatabase, view: FeatureView) -> None:
        database.execute("create index on visits (customer_id, happened_at)")
        many = spine(*range(20_000))
        decimals = spine(1).set_column(0, "customer_id", pa.array([1]).cast(pa.decimal128(20, 0)))
        for asked in (many, decimals):
            assert "thin_union" in str(ask(warehouse(database), asked, view).explain())

    @pytest.mark.parametrize("stored", ["timestamp", "timestamptz", "date"])
    def test_each_row_is_found_by_the_index_alone(self, database: PostgresDatabase, view: FeatureView, stored: str) -> None:
        """As EXPLAIN says: a look-up of keys and timestamp, and no sorting of what a key has."""
        value_type = {"timestamp": TIMESTAMP, "timestamptz": TIMESTAMP_UTC, "date": DATE}[stored]
        database.execute(
            f"alter table visits alter happened_at type {stored}", "create index on visits (customer_id, happened_at)", "analyze visits"
        )
        view = replace(view, event_timestamp=Column("happened_at", value_type))
        database.load(database.relation("asked_rows"), spine(1, 2, 700))
        sql = ask(warehouse(database), "select * from asked_rows", view).sql
        with warehouse(database).session() as session:
            ((plan,),) = session._fetched(f"explain (format json) {sql}")
        nodes = list(nodes_of(json.loads(plan)[0]["Plan"]))
        (looked_up,) = [node for node in nodes if "happened_at <=" in node.get("Index Cond", "")]
        assert "customer_id = " in looked_up["Index Cond"]
        assert not [node for node in nodes if "Sort" in node["Node Type"] and looked_up in node["Plans"]]

    def test_late_rows_and_ended_ones_are_passed_over(self, database: PostgresDatabase) -> None:
        database.execute(
            "drop table if exists memberships",
            "create table memberships as select * from (values "
            "(1::bigint, timestamp '2024-02-01', timestamp '2024-02-01', timestamp '2024-03-01', 1::bigint), "
            "(1, timestamp '2024-02-02', timestamp '2024-02-02', timestamp '2024-02-03', 2), "
            "(1, timestamp '2024-02-04', timestamp '2024-03-09', null, 3)) rows (customer_id, happened_at, loaded_at, ended_at, value)",
            "create index on memberships (customer_id, happened_at)",
            "insert into memberships select 2 + i, date '2024-01-01', date '2024-01-01', null, i from generate_series(1, 1000) as rows (i)",
            "analyze memberships",
        )
        view = view_of(
            database,
            "memberships",
            Feature("value", INT64),
            created_timestamp=Column("loaded_at", TIMESTAMP),
            valid_to=Column("ended_at", TIMESTAMP),
            disjoint_validity=False,
            late_data=LateData.AS_KNOWN,
        )
        asked = pa.table({"customer_id": [1] * 4, "event_timestamp": [datetime(2024, 2, day) for day in (1, 2, 3, 5)]})
        job = ask(warehouse(database), asked, view)
        assert "lateral" in str(job.explain())
        assert job.to_arrow().column("value").to_pylist() == [1, 2, 1, 1]


def nodes_of(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes_of(below)


class TestLimits:
    def test_names_that_begin_alike_are_told_apart(self, database: PostgresDatabase) -> None:
        names = ["v" * 62 + end for end in "ab"]
        views = [view_of(database, name, Feature("f" * 62 + "x", INT64), Feature("f" * 62 + "y", INT64)) for name in names]
        for number, view in enumerate(views):
            rows = {
                "customer_id": [1],
                "happened_at": [NOON],
                **{each.name: [10 * number + place] for place, each in enumerate(view.features)},
            }
            types = {"customer_id": pa.int64(), "happened_at": pa.timestamp("us")}
            database.load(view.relation, pa.table({name: pa.array(values, types.get(name, pa.int64())) for name, values in rows.items()}))
        job = ask(warehouse(database), spine(1), *views, full_names=True)
        full = {
            f"{view.name}__{feature.name}": 10 * number + place
            for number, view in enumerate(views)
            for place, feature in enumerate(view.features)
        }
        (row,) = job.to_arrow().drop_columns(["customer_id", "event_timestamp"]).to_pylist()
        assert row == full
        with pytest.raises(RequestError, match="63 bytes"):
            job.to_table("public.too_long")

    def test_as_many_columns_as_an_answer_has_room_for(self, database: PostgresDatabase) -> None:
        def wide(name: str, features: int) -> FeatureView:
            view = view_of(database, name, *(Feature(f"{name}_{number}", INT64) for number in range(features)))
            values = {feature.name: pa.array([number], pa.int64()) for number, feature in enumerate(view.features)}
            database.load(view.relation, pa.table({"customer_id": [1], "happened_at": pa.array([NOON], pa.timestamp("us")), **values}))
            return view

        views = [wide("wide_a", 900), wide("wide_b", 761)]
        answer = ask(warehouse(database), spine(1), *views).to_arrow()
        assert answer.num_columns == 1663
        assert answer.column("wide_b_760").to_pylist() == [760]
        with pytest.raises(RequestError, match="1,664 columns are asked for, and postgres answers with 1,663 at most"):
            ask(warehouse(database), spine(1), *views, wide("wide_c", 1)).to_arrow()


class TestTables:
    def training_set(self, database: PostgresDatabase, name: str, **options: Any) -> int:
        database.execute(
            "drop table if exists bought",
            "create table bought as select 1::bigint as customer_id, timestamp '2024-01-01' as happened_at, 5::bigint as value",
        )
        job = ask(warehouse(database), spine(1, 2), view_of(database, "bought", Feature("value", INT64)))
        return job.to_table(name, **options)

    def test_are_made_in_a_schema_that_is_made_too(self, database: PostgresDatabase) -> None:
        database.execute("drop schema if exists ml cascade")
        assert self.training_set(database, "ml.training_set") == 2
        assert one(warehouse(database), "select count(value) from ml.training_set") == 1

    def test_whoever_may_not_make_a_schema_may_use_one(self, database: PostgresDatabase) -> None:
        database.execute("drop schema if exists shared cascade", "create schema shared")
        assert self.training_set(database, "shared.training_set") == 2

    def test_one_that_others_read_from_is_left_as_it_is(self, database: PostgresDatabase) -> None:
        database.execute("drop schema if exists ml cascade", "create schema ml", "create table ml.used as select 1 as value")
        database.execute("create view ml.reader as select value from ml.used")
        with pytest.raises(WarehouseError, match="other objects depend on it"):
            self.training_set(database, "ml.used", overwrite=True)
        assert one(warehouse(database), "select value from ml.reader") == 1

    def test_a_connection_that_a_pool_hands_on_keeps_nothing(self, database: PostgresDatabase) -> None:
        with warehouse(database).session(read_only=False) as session:
            session.upload("entity_df", spine(1).to_reader())
            session.create_table(Relation("copied", "public", "postgres"), _select_all("entity_df"))
            left = session.query("select count(*) from pg_class where relname = 'entity_df'").read_all()
        assert left.column(0).to_pylist() == [0]


def _select_all(name: str) -> Any:
    from sqlglot import exp

    from featurestore.sql.expressions import table

    return exp.select("*").from_(table(name))


def test_a_relation_of_another_database_is_not_there(database: PostgresDatabase) -> None:
    assert warehouse(database).describe([Relation("pg_class", "pg_catalog", "another")]) == {}


def test_a_relation_without_a_schema_is_looked_for_as_queries_do(database: PostgresDatabase) -> None:
    database.execute("drop schema if exists first cascade", "create schema first", 'create table first."Odd Name" as select 1 as value')
    of: Sequence[Relation] = [Relation("Odd Name"), Relation("odd name")]
    found = warehouse(database, search_path="first, public").describe(of)
    assert {relation.identifier: [column.name for column in columns] for relation, columns in found.items()} == {"Odd Name": ["value"]}


def test_an_hour_that_the_servers_clock_skips_is_an_hour(database: PostgresDatabase, tmp_path: Path) -> None:
    """On the tenth of March 2024 New York's clocks, and the server's, went from two to three."""
    skipped = datetime(2024, 3, 10, 2, 30)
    database.load(
        database.relation("skipped_hour"),
        pa.table({"customer_id": [1], "happened_at": pa.array([skipped], pa.timestamp("us", "UTC")), "value": [7]}),
    )
    view = view_of(database, "skipped_hour", Feature("value", INT64), event_timestamp=Column("happened_at", TIMESTAMP_UTC))
    moments = [skipped - timedelta(microseconds=1), skipped]
    asked = pa.table({"customer_id": [1, 1], "event_timestamp": pa.array(moments, pa.timestamp("us"))})
    assert ask(warehouse(database), asked, view).to_arrow().column("value").to_pylist() == [None, 7]
