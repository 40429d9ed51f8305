"""What a model is made of: its own text, and that of all it is built from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from manifest_files import manifest, model, write_manifest

from featurestore.dbt.artifacts import Manifest, read_manifest
from featurestore.dbt.checksums import ModelState, manifest_digest, model_state


def node(name: str, *below: str, macros: tuple[str, ...] = (), kind: str = "model", text: str = "v1") -> dict[str, Any]:
    depends_on = {"nodes": list(below), "macros": list(macros)}
    return model(name, kind=kind, checksum={"name": "sha256", "checksum": f"{name}-{text}"}, depends_on=depends_on)


def macro(sql: str, *below: str) -> dict[str, Any]:
    return {"macro_sql": sql, "depends_on": {"macros": list(below)}}


MACROS = {
    "macro.shop.cents": macro("{{ x / 100 }}", "macro.shop.inner", "macro.dbt.ref"),
    "macro.shop.inner": macro("{{ x }}"),
    "macro.shop.unused": macro("nobody's"),
    "macro.dbt.ref": macro("dbt's"),
    "macro.dbt_duckdb.upsert": macro("the adapter's"),
    "macro.dbt_utils.star": macro("a package's"),
}
NODES = (
    node("orders", "model.shop.stg_orders", "snapshot.shop.prices", macros=("macro.shop.cents", "macro.dbt_duckdb.upsert")),
    node("stg_orders", "seed.shop.raw_orders", "source.shop.app.orders", macros=("macro.dbt_utils.star",)),
    node("prices", "model.shop.stg_orders", kind="snapshot"),
    node("raw_orders", kind="seed"),
    node("other"),
)


def read(tmp_path: Path, *nodes: Mapping[str, Any], macros: Mapping[str, Any] = MACROS) -> Manifest:
    return read_manifest(write_manifest(tmp_path / "manifest.json", manifest(*(nodes or NODES), macros=macros)))


def test_a_model_is_made_of_all_that_it_is_built_from(tmp_path: Path) -> None:
    state = model_state(read(tmp_path), "model.shop.orders")
    assert state.checksum == "sha256:orders-v1"
    assert list(state.upstream) == [
        "macro.dbt_utils.star",
        "macro.shop.cents",
        "macro.shop.inner",
        "model.shop.stg_orders",
        "seed.shop.raw_orders",
        "snapshot.shop.prices",
    ]
    assert state.upstream["seed.shop.raw_orders"] == "sha256:raw_orders-v1"


def test_a_circle_of_macros_ends(tmp_path: Path) -> None:
    around = {"macro.shop.a": macro("a", "macro.shop.b"), "macro.shop.b": macro("b", "macro.shop.a")}
    state = model_state(read(tmp_path, node("orders", macros=("macro.shop.a",)), macros=around), "model.shop.orders")
    assert list(state.upstream) == ["macro.shop.a", "macro.shop.b"]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"nodes": (*NODES[:-1], node("other", text="v2"))}, True),
        ({"nodes": NODES[:-1]}, True),
        ({"macros": {**MACROS, "macro.shop.inner": macro("{{ y }}")}}, True),
        ({"macros": {**MACROS, "macro.dbt.ref": macro("dbt's next version's")}}, False),
        ({"nodes": NODES[::-1]}, False),
    ],
)
def test_the_digest_of_a_manifest_changes_with_what_the_project_is_made_of(tmp_path: Path, changed: dict[str, Any], differs: bool) -> None:
    before = manifest_digest(read(tmp_path))
    after = manifest_digest(read(tmp_path, *changed.get("nodes", NODES), macros=changed.get("macros", MACROS)))
    assert (before != after) is differs


def test_a_manifest_without_checksums_has_none(tmp_path: Path) -> None:
    bare = {key: value for key, value in model("orders").items() if key != "depends_on"}
    assert model_state(read(tmp_path, {**bare, "checksum": None}), "model.shop.orders") == ModelState()
