"""What a change of a project is said to do to its features."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manifest_files import exposure, manifest, model, write_manifest

from featurestore.changes.compare import Kind, ProjectChanges, compare
from featurestore.changes.state import State
from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.meta import FeatureViewDefaults
from featurestore.registry.definitions import Column, Relation
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
STAGED = 'select customer_id, ordered_at, cents / 100 as amount, status from "warehouse"."raw"."orders" where status <> \'test\''
VIEW = 'select customer_id, ordered_at, amount, status as last_status from "warehouse"."main"."stg_orders"'
COLUMNS = {"customer_id": "bigint", "ordered_at": "timestamp", "amount": "integer", "last_status": "varchar"}
META = {"entity": "customer_id", "timestamp": "ordered_at"}


def nodes(
    staged: str = STAGED, view: str = VIEW, columns: Mapping[str, str] = COLUMNS, meta: Mapping[str, Any] = META, **keys: Any
) -> list[dict[str, Any]]:
    return [
        ORDERS,
        model("stg_orders", compiled_code=staged, depends_on={"nodes": ["source.shop.raw.orders"]}, columns={}, checksum=of(staged)),
        model(
            "orders", dict(meta), columns, compiled_code=view, depends_on={"nodes": ["model.shop.stg_orders"]}, checksum=of(view), **keys
        ),
    ]


def of(code: str) -> dict[str, str]:
    return {"name": "sha256", "checksum": code}


def state(folder: Path, name: str, each: Sequence[Mapping[str, Any]], services: Mapping[str, object]) -> State:
    exposures = [exposure(service, features) for service, features in services.items()]
    read = read_manifest(write_manifest(folder / f"{name}.json", manifest(*each, exposures=exposures)))
    return State.of(read, FeatureViewDefaults(), None)


def changes(
    folder: Path,
    after: Sequence[Mapping[str, Any]],
    before: Sequence[Mapping[str, Any]] | None = None,
    *,
    services: Mapping[str, object] | None = None,
    services_after: Mapping[str, object] | None = None,
) -> ProjectChanges:
    named = {"churn": ["orders:amount"], "status": ["orders:last_status"]} if services is None else services
    before_state = state(folder, "before", nodes() if before is None else before, named)
    return compare(before_state, state(folder, "after", after, named if services_after is None else services_after), {"orders": 1000})


def told(found: ProjectChanges) -> list[tuple[str, str, bool]]:
    return [(str(each.reference), each.kind.value, each.breaking) for view in found.views for each in view.features]


class TestNothing:
    def test_is_said_of_the_same_project(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes())
        assert (found.views, found.services, found.breaking) == ((), (), False)

    def test_is_said_of_comments_layout_and_another_target(self, tmp_path: Path) -> None:
        staged = STAGED.replace("select", "-- newly explained\nselect  ")
        view = VIEW.replace('"main"', '"ci"')
        elsewhere = [dict(node, schema="ci") if node["resource_type"] == "model" else node for node in nodes(staged, view)]
        assert changes(tmp_path, elsewhere).views == ()

    def test_is_said_where_nothing_is_declared_and_stars_bring_everything(self, tmp_path: Path) -> None:
        starred = nodes('select * from "warehouse"."raw"."orders"', 'select * from "warehouse"."main"."stg_orders"', {}, contract=False)
        read = read_manifest(write_manifest(tmp_path / "same.json", manifest(*starred)))

        def describe(relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
            assert relations == (Relation("orders", "raw", "warehouse"),), "only what no model makes is asked for"
            return {relations[0]: tuple(Column(name, INT64) for name in COLUMNS)}

        before, after = (State.of(read, FeatureViewDefaults(), describe) for _ in range(2))
        assert [feature.name for feature in after.views()["orders"].features] == ["amount", "last_status"]
        assert compare(before, after, {}).views == ()

    def test_is_said_of_a_column_beside(self, tmp_path: Path) -> None:
        staged = STAGED.replace("select", "select now() as loaded,")
        assert changes(tmp_path, nodes(staged)).views == ()


class TestFeatures:
    def test_redefined_upstream_are_those_that_depend_on_it(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes(STAGED.replace("cents / 100", "cents / 100.0")))
        assert told(found) == [("orders:amount", "redefined", False)]
        assert found.views[0].features[0].detail == "changed: stg_orders"
        assert (found.touched, found.views[0].rematerialize, found.views[0].rows) == (("churn",), "SQL changed", 1000)

    def test_all_are_redefined_by_another_filter(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes(STAGED.replace("'test'", "'draft'")))
        assert told(found) == [("orders:amount", "redefined", False), ("orders:last_status", "redefined", False)]
        assert found.touched == ("churn", "status")

    def test_added_break_nothing_and_touch_nobody(self, tmp_path: Path) -> None:
        after = nodes(view=VIEW.replace("select", "select 1 as one,"), columns={**COLUMNS, "one": "integer"})
        found = changes(tmp_path, after)
        assert (told(found), found.breaking, found.touched) == ([("orders:one", "added", False)], False, ())

    def test_removed_break(self, tmp_path: Path) -> None:
        view = VIEW.replace(", status as last_status", "")
        columns = {name: kind for name, kind in COLUMNS.items() if name != "last_status"}
        found = changes(tmp_path, nodes(view=view, columns=columns), services={"churn": ["orders:amount"]})
        assert (told(found), found.breaking) == ([("orders:last_status", "removed", True)], True)

    def test_called_otherwise_are_renamed(self, tmp_path: Path) -> None:
        columns = {name.replace("last_status", "state"): kind for name, kind in COLUMNS.items()}
        found = changes(tmp_path, nodes(view=VIEW.replace("last_status", "state"), columns=columns), services={"churn": ["orders:amount"]})
        assert told(found) == [("orders:last_status", "renamed", True)]
        assert found.views[0].features[0].detail == "now state"

    def test_of_another_type_break_and_wider_ones_only_under_a_contract(self, tmp_path: Path) -> None:
        wider, other = {**COLUMNS, "amount": "bigint"}, {**COLUMNS, "amount": "varchar"}
        assert told(changes(tmp_path, nodes(columns=other))) == [("orders:amount", "retyped", True)]
        assert told(changes(tmp_path, nodes(columns=wider))) == [("orders:amount", "retyped", True)]
        before, after = nodes(contract=False), nodes(columns=wider, contract=False)
        assert told(changes(tmp_path, after, before)) == [("orders:amount", "retyped", False)]
        assert told(changes(tmp_path, before, after)) == [("orders:amount", "retyped", True)]

    def test_that_are_only_not_declared_are_neither_added_nor_removed(self, tmp_path: Path) -> None:
        fewer = {name: kind for name, kind in COLUMNS.items() if name != "last_status"}
        before, after = nodes(contract=False), nodes(columns=fewer, contract=False)
        services = {"churn": ["orders:amount"]}
        assert changes(tmp_path, after, before, services=services).views == ()
        assert changes(tmp_path, before, after, services=services).views == ()


class TestWhatDecidesRows:
    def changed(self, folder: Path, before: str, after: str) -> list[str]:
        """The features that are said to be redefined when the staging model's SQL goes from one to the other."""
        found = changes(folder, nodes(after), nodes(before))
        assert all(kind == "redefined" for _, kind, _ in told(found))
        return [name for name, _, _ in told(found)]

    def test_is_part_of_what_a_feature_is(self, tmp_path: Path) -> None:
        both = ["orders:amount", "orders:last_status"]
        first = "select distinct on (customer_id) * from ({}) as s order by customer_id, ordered_at {}"
        assert self.changed(tmp_path, first.format(STAGED, "desc"), first.format(STAGED, "asc")) == both
        two = "{} union {} {}"
        assert self.changed(tmp_path, two.format(STAGED, "all", STAGED), two.format(STAGED, "", STAGED)) == both
        assert self.changed(tmp_path, two.format(STAGED, "all", STAGED), f"{STAGED} except {STAGED}") == both
        named = "select customer_id, ordered_at, status, sum(cents) over w as amount from raw.orders window w as (order by ordered_at {})"
        assert self.changed(tmp_path, named.format("asc"), named.format("desc")) == ["orders:amount"]

    def test_behind_a_model_that_cannot_be_read_is_seen_too(self, tmp_path: Path) -> None:
        def project(staged: str) -> list[dict[str, Any]]:
            python = model("stg_orders", depends_on={"nodes": ["model.shop.base"]}, columns={}, language="python", checksum=of("python"))
            base = model("base", compiled_code=staged, depends_on={"nodes": ["source.shop.raw.orders"]}, columns={}, checksum=of(staged))
            return [base, python, *(node for node in nodes() if node["name"] != "stg_orders")]

        assert changes(tmp_path, project(STAGED), project(STAGED)).views == ()
        found = changes(tmp_path, project(STAGED.replace("cents / 100", "cents")), project(STAGED))
        assert told(found) == [("orders:amount", "redefined", False), ("orders:last_status", "redefined", False)]


class TestAnIncrementalModel:
    """dbt compiles it in one way where its table is not there yet, and in another where it is."""

    RAW = """select customer_id, ordered_at, cents / 100 as amount, status from {{ source('raw', 'orders') }} where status <> 'test'
        {% if is_incremental() %} and ordered_at > (select max(ordered_at) from {{ this }}) {% endif %}"""

    def project(self, *, again: bool, raw: str = RAW, macro: str | None = None, schema: str = "main") -> list[dict[str, Any]]:
        """The project as dbt compiled it by its first run, or by another one."""
        compiled = raw.replace("{{ source('raw', 'orders') }}", '"warehouse"."raw"."orders"')
        block = re.search(r"{% if is_incremental\(\) %}(.*?){% endif %}", compiled, re.DOTALL)
        if block:
            compiled = compiled.replace(block[0], block[1].replace("{{ this }}", f'"warehouse"."{schema}"."stg_orders"') if again else "")
        compiled = compiled.replace("{{ cents() }}", macro or "")
        staged, view = nodes(compiled, VIEW.replace('"main"', f'"{schema}"'))[1:]
        staged.update(raw_code=raw, checksum=of(raw), config={**staged["config"], "materialized": "incremental"})
        if macro:
            staged["depends_on"] = {**staged["depends_on"], "macros": ["macro.shop.cents"]}
        view["checksum"] = of(VIEW)
        return [ORDERS, *({**node, "schema": schema} for node in (staged, view))]

    def test_is_the_same_whichever_run_dbt_compiled_it_for(self, tmp_path: Path) -> None:
        first, later = self.project(again=False, schema="ci"), self.project(again=True)
        assert first[1]["compiled_code"] != later[1]["compiled_code"]
        assert changes(tmp_path, first, later).views == ()
        assert changes(tmp_path, later, first).views == ()

    def test_redefines_only_what_was_changed(self, tmp_path: Path) -> None:
        changed = self.project(again=False, raw=self.RAW.replace("cents / 100", "cents / 100.0"), schema="ci")
        assert told(changes(tmp_path, changed, self.project(again=True))) == [("orders:amount", "redefined", False)]
        filtered = self.project(again=False, raw=self.RAW.replace("ordered_at >", "ordered_at >="), schema="ci")
        both = [("orders:amount", "redefined", False), ("orders:last_status", "redefined", False)]
        assert told(changes(tmp_path, filtered, self.project(again=False))) == both, "neither run had that filter in its SQL"

    def test_is_redefined_by_what_it_reads(self, tmp_path: Path) -> None:
        def project(again: bool, cents: str) -> list[dict[str, Any]]:
            sql = f'select customer_id, ordered_at, {cents} as cents, status from "warehouse"."raw"."orders"'
            base = model("base", compiled_code=sql, depends_on={"nodes": ["source.shop.raw.orders"]}, columns={}, checksum=of(sql))
            orders, staged, view = self.project(again=again, raw=self.RAW.replace("source('raw', 'orders')", "ref('base')"))
            staged["compiled_code"] = staged["compiled_code"].replace("{{ ref('base') }}", '"warehouse"."main"."base"')
            return [orders, base, {**staged, "depends_on": {"nodes": ["model.shop.base"]}}, view]

        assert changes(tmp_path, project(False, "c"), project(True, "c")).views == ()
        assert told(changes(tmp_path, project(False, "d"), project(True, "c"))) == [("orders:amount", "redefined", False)]

    def test_is_redefined_by_a_macro_of_the_project(self, tmp_path: Path) -> None:
        raw = self.RAW.replace("cents / 100", "{{ cents() }}")

        def at(name: str, again: bool, macro: str) -> State:
            text = {"macro_sql": macro, "name": "cents", "package_name": "shop", "unique_id": "macro.shop.cents"}
            content = manifest(*self.project(again=again, raw=raw, macro=macro), macros={"macro.shop.cents": text})
            return State.of(read_manifest(write_manifest(tmp_path / f"{name}.json", content)), FeatureViewDefaults(), None)

        assert compare(at("a", True, "cents / 100"), at("b", False, "cents / 100"), {}).views == ()
        assert ("orders:amount", "redefined", False) in told(compare(at("a", True, "cents / 100"), at("b", False, "cents / 99"), {}))


class TestOnDemand:
    def on_demand(self, expression: str, inputs: Mapping[str, str]) -> list[dict[str, Any]]:
        with_it = nodes()
        with_it[-1]["config"]["meta"]["on_demand"] = {"inputs": dict(inputs), "features": {"ratio": expression}}
        return with_it

    def test_another_layout_is_none_and_another_expression_republishes_nothing(self, tmp_path: Path) -> None:
        before = self.on_demand("x > amount", {"x": "bigint"})
        assert changes(tmp_path, self.on_demand("x>amount", {"x": "bigint"}), before).views == ()
        (view,) = changes(tmp_path, self.on_demand("x >= amount", {"x": "bigint"}), before).views
        assert ([(each.kind.value, each.breaking) for each in view.features], view.rematerialize) == ([("redefined", False)], "")

    def test_a_new_input_breaks_every_request(self, tmp_path: Path) -> None:
        before = self.on_demand("x * amount", {"x": "bigint"})
        found = changes(tmp_path, self.on_demand("x * amount * fx", {"x": "bigint", "fx": "bigint"}), before)
        assert told(found) == [("orders:ratio", "redefined", True)]
        assert found.views[0].features[0].detail == "every request has to bring fx int64 now"

    def test_a_star_does_not_name_it(self, tmp_path: Path) -> None:
        before, after = (self.on_demand(expression, {"x": "bigint"}) for expression in ("x > amount", "x < amount"))
        assert changes(tmp_path, after, before, services={"all": ["orders:*"]}).touched == ()


class TestViews:
    def test_that_go_online_and_timestamps_of_another_type_are_told(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes(), nodes(meta={**META, "online": False}))
        assert (told(found), found.views[0].features[0].detail) == ([("orders:*", "rules", False)], "it is online now")
        assert found.views[0].rematerialize == "its rules changed"
        found = changes(tmp_path, nodes(columns={**COLUMNS, "ordered_at": "date"}))
        assert found.views[0].features[0].detail == "event_timestamp: ordered_at timestamp to ordered_at date"
        assert found.views[0].rematerialize != ""

    def test_rules_are_said_with_what_they_were(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes(meta={**META, "ttl": "7 days"}))
        assert told(found) == [("orders:*", Kind.RULES.value, False)]
        assert found.views[0].features[0].detail == "ttl: none to 7 days"
        assert found.touched == ("churn", "status")

    def test_another_key_breaks(self, tmp_path: Path) -> None:
        found = changes(tmp_path, nodes(meta={**META, "entity": "last_status"}), services={"churn": ["orders:amount"]})
        assert ("orders:*", "rules", True) in told(found)

    def test_a_new_one_and_one_that_is_gone(self, tmp_path: Path) -> None:
        without = [node for node in nodes() if node["name"] != "orders" or node["resource_type"] == "source"]
        gone = changes(tmp_path, without, services={}, services_after={})
        assert told(gone) == [("orders:amount", "removed", True), ("orders:last_status", "removed", True)]
        new = changes(tmp_path, nodes(), without, services={})
        assert (told(new), new.breaking) == ([("orders:amount", "added", False), ("orders:last_status", "added", False)], False)


class TestServices:
    def test_are_added_removed_and_changed(self, tmp_path: Path) -> None:
        after = {"churn": ["orders:last_status"], "new": ["orders:amount"]}
        found = changes(tmp_path, nodes(), services_after=after)
        assert [(each.service, each.breaking, each.detail) for each in found.services] == [
            ("churn", True, "now without orders:amount and with orders:last_status"),
            ("new", False, "added"),
            ("status", True, "removed"),
        ]
