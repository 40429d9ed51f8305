"""Lineage through the models of a project, and in the words of the feature store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from manifest_files import exposure, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.errors import RequestError, UnknownNameError
from featurestore.lineage.features import FeatureLineage, feature_lineage, find_column, impact
from featurestore.lineage.project import FILE_NAME, NodeColumn, ProjectLineage
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import INT64

ORDERS = {
    "unique_id": "source.shop.raw.orders",
    "name": "orders",
    "resource_type": "source",
    "package_name": "shop",
    "database": "warehouse",
    "schema": "raw",
    "identifier": "orders",
    "columns": {},
}
STAGED = 'select id, customer_id, ordered_at, cents / 100 as amount from "warehouse"."raw"."orders" where not cancelled'
VIEW = (
    "select customer_id, ordered_at, sum(amount) over (partition by customer_id order by ordered_at) as spent, 1 as one "
    'from "warehouse"."main"."stg_orders"'
)
VIEW_COLUMNS = {"customer_id": "bigint", "ordered_at": "timestamp", "spent": "double", "one": "integer"}


def compiled(name: str, sql: str, above: Sequence[str], feature_view: object = None, **keys: Any) -> dict[str, Any]:
    return model(name, feature_view, compiled_code=sql, depends_on={"nodes": list(above)}, **keys)


STG_ORDERS = compiled("stg_orders", STAGED, ["source.shop.raw.orders"], columns={})
CUSTOMER_ORDERS = compiled(
    "customer_orders", VIEW, ["model.shop.stg_orders"], {"entity": "customer_id", "timestamp": "ordered_at"}, columns=VIEW_COLUMNS
)
SERVICE = exposure("churn_model", ["customer_orders:spent"])


def opened(folder: Path, *nodes: Mapping[str, Any], keep: bool = False, **options: Any) -> tuple[ProjectLineage, Registry]:
    path = write_manifest(folder / "manifest.json", manifest(*nodes, exposures=[SERVICE]))
    read = read_manifest(path)
    return ProjectLineage(read, folder=folder if keep else None, **options), load_registry(read)


def of_feature(opened: tuple[ProjectLineage, Registry], name: str) -> FeatureLineage:
    lineage, registry = opened
    (part,) = registry.resolve([name])
    return feature_lineage(lineage, registry, part.view, part.features[0])


def source(*columns: str) -> tuple[NodeColumn, ...]:
    return tuple(NodeColumn("source.shop.raw.orders", column) for column in columns)


class TestAFeature:
    def test_goes_through_models_to_the_columns_of_a_source(self, tmp_path: Path) -> None:
        of = of_feature(opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS), "customer_orders:spent")
        assert of.values == source("cents", "customer_id", "ordered_at")
        assert of.rows == source("cancelled")
        assert (of.services, of.unknown) == (("churn_model",), ())

    def test_of_a_constant_has_no_source_and_rows_still_have(self, tmp_path: Path) -> None:
        of = of_feature(opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS), "customer_orders:one")
        assert of.values == ()
        assert of.rows == source("cancelled", "customer_id", "ordered_at")
        assert of.services == ()

    def test_of_an_aggregation_is_made_of_what_is_aggregated_and_decided_by_its_filter(self, tmp_path: Path) -> None:
        events = compiled(
            "order_events",
            'select customer_id, ordered_at, amount, id > 5 as late from "warehouse"."main"."stg_orders"',
            ["model.shop.stg_orders"],
            {
                "entity": "customer_id",
                "timestamp": "ordered_at",
                "aggregations": [{"column": "amount", "functions": ["sum"], "windows": ["7 days"], "filter": "late"}],
            },
            columns={"customer_id": "bigint", "ordered_at": "timestamp", "amount": "bigint", "late": "boolean"},
        )
        lineage = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, events)
        (feature,) = lineage[1].view("order_events").features
        of = of_feature(lineage, f"order_events:{feature.name}")
        assert of.values == source("cents")
        assert set(of.rows) == set(source("cancelled", "customer_id", "id", "ordered_at"))


class TestWhatIsNotKnown:
    def test_a_model_that_dbt_did_not_compile_is_named(self, tmp_path: Path) -> None:
        of = of_feature(opened(tmp_path, ORDERS, model("stg_orders"), CUSTOMER_ORDERS), "customer_orders:spent")
        assert of.unknown == ("model.shop.stg_orders: dbt has not compiled it; run `dbt compile`",)

    def test_a_python_model_is_named(self, tmp_path: Path) -> None:
        python = compiled("stg_orders", "", ["source.shop.raw.orders"], language="python")
        assert "it is no SQL" in of_feature(opened(tmp_path, ORDERS, python, CUSTOMER_ORDERS), "customer_orders:spent").unknown[0]

    def test_sql_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        broken = compiled("stg_orders", "select from where (", ["source.shop.raw.orders"])
        assert "cannot be read" in of_feature(opened(tmp_path, ORDERS, broken, CUSTOMER_ORDERS), "customer_orders:spent").unknown[0]

    def test_a_star_over_a_source_asks_the_warehouse_once(self, tmp_path: Path) -> None:
        asked: list[Sequence[Relation]] = []

        def describe(relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
            asked.append(relations)
            return {each: (Column("ordered_at", INT64), Column("amount", INT64), Column("customer_id", INT64)) for each in relations}

        starred = compiled("stg_orders", 'select * from "warehouse"."raw"."orders"', ["source.shop.raw.orders"], columns={})
        lineage = opened(tmp_path, ORDERS, starred, CUSTOMER_ORDERS, describe=describe)
        assert of_feature(lineage, "customer_orders:spent").values == source("amount", "customer_id", "ordered_at")
        assert asked == [(Relation("orders", "raw", "warehouse"),)]

    def test_a_star_that_nobody_can_open_passes_names_on(self, tmp_path: Path) -> None:
        starred = compiled("stg_orders", 'select * from "warehouse"."raw"."orders"', ["source.shop.raw.orders"], columns={})
        of = of_feature(opened(tmp_path, ORDERS, starred, CUSTOMER_ORDERS), "customer_orders:spent")
        assert of.values == source("amount", "customer_id", "ordered_at")


class TestAColumn:
    def test_reaches_features_and_services(self, tmp_path: Path) -> None:
        lineage, registry = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS)
        of = impact(lineage, registry, find_column(lineage, "raw.orders.cents"))
        assert ([str(each) for each in of.features], of.deciding, of.services) == (["customer_orders:spent"], (), ("churn_model",))

    def test_that_only_filters_decides(self, tmp_path: Path) -> None:
        lineage, registry = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS)
        of = impact(lineage, registry, find_column(lineage, "raw.orders.cancelled"))
        assert [str(each) for each in of.deciding] == ["customer_orders:spent", "customer_orders:one"]
        assert (of.features, of.services) == ((), ("churn_model",))

    def test_of_no_model_is_an_error_with_the_nearest(self, tmp_path: Path) -> None:
        lineage, _ = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS)
        with pytest.raises(UnknownNameError, match="stg_orders"):
            find_column(lineage, "stg_order.amount")
        with pytest.raises(UnknownNameError, match="amount"):
            find_column(lineage, "stg_orders.amoun")


class TestNames:
    def test_a_database_tells_tables_of_one_name_apart(self, tmp_path: Path) -> None:
        elsewhere = {**ORDERS, "unique_id": "source.shop.raw.other_orders", "database": "elsewhere"}
        of = of_feature(opened(tmp_path, ORDERS, elsewhere, STG_ORDERS, CUSTOMER_ORDERS), "customer_orders:spent")
        assert of.values == source("cents", "customer_id", "ordered_at")

    def test_a_name_of_several_nodes_has_to_be_said_whole(self, tmp_path: Path) -> None:
        lineage, _ = opened(tmp_path, ORDERS, compiled("orders", "select 1 as cents", []), STG_ORDERS, CUSTOMER_ORDERS)
        with pytest.raises(RequestError, match=r"may be any of model\.shop\.orders, source\.shop\.raw\.orders"):
            find_column(lineage, "orders.cents")
        assert find_column(lineage, "source.shop.raw.orders.cents").node == "source.shop.raw.orders"

    def test_an_ephemeral_model_is_in_others(self, tmp_path: Path) -> None:
        ephemeral = compiled("passing", "select 1 as a", [], config={"materialized": "ephemeral"})
        lineage, _ = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, ephemeral)
        with pytest.raises(RequestError, match="ephemeral"):
            find_column(lineage, "passing.a")


class TestASourceOverASeed:
    SEED: ClassVar[dict[str, Any]] = {**model("raw_orders", columns={}, kind="seed"), "schema": "raw", "alias": "orders"}

    def test_is_one_table_with_it_wherever_a_column_comes_from(self, tmp_path: Path) -> None:
        of = of_feature(opened(tmp_path, self.SEED, ORDERS, STG_ORDERS, CUSTOMER_ORDERS), "customer_orders:spent")
        assert (of.values, of.unknown) == (source("cents", "customer_id", "ordered_at"), ())

    def test_reaches_the_same_by_both_names(self, tmp_path: Path) -> None:
        lineage, registry = opened(tmp_path, self.SEED, ORDERS, STG_ORDERS, CUSTOMER_ORDERS)
        for name in ("raw.orders.cents", "raw_orders.cents", "seed.shop.raw_orders.cents"):
            of = impact(lineage, registry, find_column(lineage, name))
            assert ([str(each) for each in of.features], of.services) == (["customer_orders:spent"], ("churn_model",))

    def test_is_no_question_where_both_have_one_name(self, tmp_path: Path) -> None:
        seed = {**self.SEED, "name": "orders", "unique_id": "seed.shop.orders"}
        lineage, _ = opened(tmp_path, seed, ORDERS, STG_ORDERS, CUSTOMER_ORDERS)
        assert find_column(lineage, "orders.cents") == source("cents")[0]

    def test_is_the_seed_where_models_select_from_that(self, tmp_path: Path) -> None:
        staged = compiled("stg_orders", STAGED, ["seed.shop.raw_orders"], columns={})
        of = of_feature(opened(tmp_path, ORDERS, self.SEED, staged, CUSTOMER_ORDERS), "customer_orders:spent")
        assert {column.node for column in of.values} == {"seed.shop.raw_orders"}


class TestSnapshots:
    @pytest.mark.parametrize(
        ("config", "told_by"),
        [
            ({"strategy": "timestamp", "updated_at": "changed_at"}, {"changed_at"}),
            ({"strategy": "check", "check_cols": ["tier"]}, {"tier"}),
            ({"strategy": "check", "check_cols": "all"}, {"customer_id", "tier", "changed_at"}),
        ],
    )
    def test_what_dbt_adds_comes_from_what_tells_that_a_row_changed(
        self, tmp_path: Path, config: dict[str, Any], told_by: set[str]
    ) -> None:
        sql = 'select customer_id, tier, changed_at from "warehouse"."raw"."orders"'
        columns = {"customer_id": "bigint", "tier": "varchar", "dbt_valid_from": "timestamp", "dbt_valid_to": "timestamp"}
        view = {"entity": "customer_id", "features": ["tier"]}
        snapshot = compiled("tiers", sql, ["source.shop.raw.orders"], view, kind="snapshot", columns=columns)
        snapshot["config"] = {**snapshot["config"], "materialized": "snapshot", **config}
        lineage = opened(tmp_path, ORDERS, snapshot, STG_ORDERS, CUSTOMER_ORDERS)
        assert {column.column for column in lineage[0].trace("snapshot.shop.tiers", "dbt_valid_from").values} == told_by
        of = of_feature(lineage, "tiers:tier")
        assert told_by - {"tier"} <= {column.column for column in of.rows}

    @pytest.mark.parametrize(
        ("config", "added"),
        [
            ({}, ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")),
            (
                {"hard_deletes": "new_record", "snapshot_meta_column_names": {"dbt_valid_from": "since", "dbt_is_deleted": "gone"}},
                ("dbt_scd_id", "dbt_updated_at", "since", "dbt_valid_to", "gone"),
            ),
        ],
    )
    def test_a_star_over_one_brings_what_dbt_adds_too(self, tmp_path: Path, config: dict[str, Any], added: tuple[str, ...]) -> None:
        sql = 'select customer_id, tier, changed_at from "warehouse"."raw"."orders"'
        snapshot = compiled("tiers", sql, ["source.shop.raw.orders"], kind="snapshot", columns={})
        snapshot["config"] = {**snapshot["config"], "strategy": "timestamp", "updated_at": "changed_at", **config}
        starred = compiled("current", 'select * from "warehouse"."main"."tiers"', ["snapshot.shop.tiers"], columns={})
        lineage, _ = opened(tmp_path, ORDERS, snapshot, starred, STG_ORDERS, CUSTOMER_ORDERS)
        every = ("customer_id", "tier", "changed_at", *added)
        assert (lineage.columns_of("snapshot.shop.tiers"), lineage.columns_of("model.shop.current")) == (every, every)
        assert lineage.trace("model.shop.current", added[2]).values == source("changed_at")


class TestAnEphemeralModel:
    def test_passes_the_columns_of_what_it_reads_through_a_star(self, tmp_path: Path) -> None:
        inner = 'with __dbt__cte__numbered as (select *, row_number() over (order by id) as rn from "warehouse"."main"."stg_orders")'
        outer = f"{inner}, __dbt__cte__first as (select * from __dbt__cte__numbered where rn = 1)"
        ephemeral = {"config": {"materialized": "ephemeral"}, "columns": {}}
        nodes = [
            STG_ORDERS,
            compiled("numbered", inner.partition("(")[2][:-1], ["model.shop.stg_orders"], **ephemeral),
            compiled("first", f"{inner} select * from __dbt__cte__numbered where rn = 1", ["model.shop.numbered"], **ephemeral),
            compiled("firsts", f"{outer} select * from __dbt__cte__first", ["model.shop.first"], columns={}),
            CUSTOMER_ORDERS,
        ]
        lineage, _ = opened(tmp_path, ORDERS, *nodes, keep=True)
        assert lineage.columns_of("model.shop.firsts") == ("id", "customer_id", "ordered_at", "amount", "rn")
        assert lineage.trace("model.shop.firsts", "rn").unknown == ()
        assert lineage.trace("model.shop.firsts", "amount").values == source("cents")
        lineage.keep()
        nodes[0] = compiled("stg_orders", STAGED.replace("as amount", "as euros"), ["source.shop.raw.orders"], columns={})
        again, _ = opened(tmp_path, ORDERS, *nodes, keep=True)
        assert "euros" in (again.columns_of("model.shop.firsts") or ()), "what was kept is read anew where what is behind it changed"


class TestWhatIsKept:
    def test_is_believed_by_the_next_run_as_long_as_the_model_is_the_same(self, tmp_path: Path) -> None:
        first = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, keep=True)
        before = of_feature(first, "customer_orders:spent")
        first[0].keep()
        again = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, keep=True)
        assert of_feature(again, "customer_orders:spent") == before
        file = tmp_path / FILE_NAME
        file.write_text(file.read_text(encoding="utf-8").replace('"cents"', '"pence"'), encoding="utf-8")
        told = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, keep=True)
        assert "pence" in {column.column for column in of_feature(told, "customer_orders:spent").values}, "what is written there is taken"
        changed = compiled("stg_orders", STAGED + " and true", ["source.shop.raw.orders"], columns={})
        anew = opened(tmp_path, ORDERS, changed, CUSTOMER_ORDERS, keep=True)
        assert "cents" in {column.column for column in of_feature(anew, "customer_orders:spent").values}

    def test_holds_one_entry_for_each_model_there_is(self, tmp_path: Path) -> None:
        for sql in (STAGED, STAGED + " and true"):
            lineage = opened(
                tmp_path, ORDERS, compiled("stg_orders", sql, ["source.shop.raw.orders"], columns={}), CUSTOMER_ORDERS, keep=True
            )
            of_feature(lineage, "customer_orders:spent")
            lineage[0].keep()
        kept = json.loads((tmp_path / FILE_NAME).read_bytes())["models"]
        assert sorted(kept) == ["model.shop.customer_orders", "model.shop.stg_orders"]

    def test_a_changed_model_and_what_selects_all_of_it_are_read_anew(self, tmp_path: Path) -> None:
        passing = compiled("passing", 'select * from "warehouse"."main"."stg_orders"', ["model.shop.stg_orders"], columns={})
        lineage, _ = opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, passing, keep=True)
        assert "amount" in lineage.model("model.shop.passing").columns
        lineage.keep()
        renamed = compiled("stg_orders", STAGED.replace("as amount", "as euros"), ["source.shop.raw.orders"], columns={})
        lineage, _ = opened(tmp_path, ORDERS, renamed, CUSTOMER_ORDERS, passing, keep=True)
        assert "euros" in lineage.model("model.shop.passing").columns

    def test_a_file_that_is_broken_is_as_good_as_none(self, tmp_path: Path) -> None:
        (tmp_path / FILE_NAME).write_bytes(b"{broken")
        assert of_feature(opened(tmp_path, ORDERS, STG_ORDERS, CUSTOMER_ORDERS, keep=True), "customer_orders:spent").values
