"""What a rule on SQL is given: the pieces of each model that the features depend on, and in what way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from check_cases import Case, case_manifest, open_case
from manifest_files import model, write_manifest

from featurestore.checks.parts import Role
from featurestore.checks.run import check
from featurestore.checks.subject import CheckedView, Project
from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.lineage.project import ProjectLineage

SAID: dict[str, Any] = {
    "sources": {"raw.orders": {"id": "bigint", "customer_id": "bigint", "ordered_at": "timestamp", "amount": "double", "late": "boolean"}},
    "models": {
        "stg_orders": "select *, now() as loaded_at, amount * 2 as doubled from raw.orders where not late",
        "customer_orders": """
            with numbered as (select *, row_number() over (partition by id order by loaded_at) as number from analytics.stg_orders)
            select customer_id, ordered_at, sum(doubled) over w as spent, amount, now() as unused
            from numbered where number = 1 window w as (partition by customer_id order by ordered_at)""",
    },
    "view": {"entities": {"customer": "customer_id"}, "timestamp": "ordered_at", "features": ["spent", "amount"]},
}


def opened(folder: Path, **changes: Any) -> CheckedView:
    (view,) = open_case(Case("shop", {**SAID, **changes}), folder).views
    return view


def test_models_come_after_those_that_they_read(tmp_path: Path) -> None:
    assert [each.model.name for each in opened(tmp_path).models] == ["stg_orders", "customer_orders"]


def test_each_column_says_which_features_depend_on_it_and_how(tmp_path: Path) -> None:
    staged, view = opened(tmp_path).models
    uses = {part.projection.name: part.uses for part in staged.parts if part.projection}
    everything = frozenset({"spent", "amount"})
    assert uses["doubled"] == {Role.VALUE: frozenset({"spent"})}
    assert uses["loaded_at"] == {Role.ROWS: everything}
    assert uses["ordered_at"] == {Role.TIMESTAMP: everything, Role.VALUE: frozenset({"spent"})}
    assert uses["customer_id"] == {Role.KEY: everything, Role.VALUE: frozenset({"spent"})}
    assert {part.projection.name for part in view.parts if part.projection} >= {"spent", "amount", "number"}


def test_a_column_that_no_feature_uses_is_no_part(tmp_path: Path) -> None:
    _, view = opened(tmp_path).models
    assert "unused" not in {part.projection.name for part in view.parts if part.projection}


def test_filters_are_parts_that_decide_rows(tmp_path: Path) -> None:
    staged, _ = opened(tmp_path).models
    (where,) = (part for part in staged.parts if part.projection is None)
    assert where.expression is not None
    assert where.expression.sql() == "WHERE NOT late"
    assert where.uses == {Role.ROWS: frozenset({"spent", "amount"})}


def test_a_named_window_is_among_the_nodes_of_what_uses_it(tmp_path: Path) -> None:
    _, view = opened(tmp_path).models
    (spent,) = (part for part in view.parts if part.projection and part.projection.name == "spent")
    assert {"customer_id", "ordered_at", "doubled"} <= {node.name for node in spent.nodes()}


def test_of_a_model_that_cannot_be_read_no_column_is_missed(tmp_path: Path) -> None:
    unreadable = {**SAID["models"], "stg_orders": "select from where ( raw.orders"}
    staged, _ = opened(tmp_path, models=unreadable).models
    assert staged.model.unreadable
    assert dict(staged.unknown) == {}
    _, missing = opened(tmp_path, models={**SAID["models"], "stg_orders": "select id, customer_id, ordered_at from raw.orders"}).models
    assert any("doubled" in reason for reason in missing.unknown)


def test_a_source_is_immutable_where_the_seed_under_it_is(tmp_path: Path) -> None:
    said = {
        "sources": {
            "raw.orders": {"shop_id": "bigint", "ordered_at": "timestamp"},
            "raw.shops": {"shop_id": "bigint", "region": "varchar"},
        },
        "models": {"orders": "select o.shop_id, o.ordered_at, s.region from raw.orders o join raw.shops s on s.shop_id = o.shop_id"},
        "view": {"entities": {"shop": "shop_id"}, "timestamp": "ordered_at"},
    }

    def rules(seed: dict[str, Any] | None) -> set[str]:
        content = case_manifest(Case("shop", said))
        if seed is not None:
            content["nodes"]["seed.shop.shops"] = seed
        read = read_manifest(write_manifest(tmp_path / "manifest.json", content))
        return {each.rule for each in check(Project(read, load_registry(read, any_key=True), ProjectLineage(read))).findings}

    seed = model("shops", columns={}, kind="seed", database=None, schema="raw")
    assert "mutable_join" in rules(None)
    assert "mutable_join" in rules(seed)
    assert "mutable_join" not in rules({**seed, "config": {"meta": {"immutable": True}}})
