"""`landing`: a table that the model reads, named as dbt names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifest_files import CUSTOMER, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.errors import DeclarationError
from featurestore.registry.definitions import Relation

LANDING_ID, SOURCE_ID = "model.shop.pushed_orders", "source.shop.app.pushed"


def loaded(tmp_path: Path, landing: str, *, reads: str = LANDING_ID, **keys: Any):
    """The landing of a view whose model reads that node, through another model."""
    source = {**model("pushed", kind="source"), "unique_id": SOURCE_ID, "identifier": "pushed_rows", "source_name": "app"}
    between = model("everything", depends_on={"nodes": [reads], "macros": []})
    view = model("customer_orders", {**CUSTOMER, "landing": landing, **keys}, depends_on={"nodes": [between["unique_id"]], "macros": []})
    as_view = model("pushed_view", config={"materialized": "view"})
    written = write_manifest(tmp_path / "manifest.json", manifest(model("pushed_orders"), between, view, as_view, source))
    return load_registry(read_manifest(written)).view("customer_orders").landing


@pytest.mark.parametrize("said", ["ref('pushed_orders')", ' ref( "pushed_orders" ) '])
def test_a_model_is_named_as_in_a_ref(tmp_path, said):
    assert loaded(tmp_path, said) == Relation("pushed_orders", "main", "warehouse")


@pytest.mark.parametrize(("said", "read", "table"), [("ref('pushed')", 2, "pushed_v2"), ("ref('pushed', v=1)", 1, "pushed_v1")])
def test_a_version_is_named_as_in_a_ref_and_without_one_the_latest_is_meant(tmp_path, said, read, table):
    versions = [model("pushed", version=each, latest_version=2, alias=f"pushed_v{each}") for each in (1, 2)]
    reads = {"nodes": [versions[read - 1]["unique_id"]], "macros": []}
    view = model("customer_orders", {**CUSTOMER, "landing": said}, depends_on=reads)
    written = write_manifest(tmp_path / "manifest.json", manifest(*versions, view))
    assert load_registry(read_manifest(written)).view("customer_orders").landing == Relation(table, "main", "warehouse")


def test_a_source_is_named_as_in_a_source(tmp_path):
    assert loaded(tmp_path, "source('app', 'pushed')", reads=SOURCE_ID) == Relation("pushed_rows", "main", "warehouse")


@pytest.mark.parametrize(
    ("said", "keys", "why"),
    [
        ("ref('pushed_order')", {}, "there is no ref('pushed_order'). Did you mean \"ref('pushed_orders')\"?"),
        ("source('app', 'pushed')", {}, "the model does not read source('app', 'pushed'), so what is pushed would never reach training"),
        ("ref('pushed_view')", {"reads": "model.shop.pushed_view"}, "ref('pushed_view') is no table, and rows are appended to it"),
        ("pushed_orders", {}, "must be a reference like ref('pushed_orders') or source('app', 'pushed_orders'), not 'pushed_orders'"),
        (
            "ref('pushed_orders')",
            {"aggregations": [{"functions": ["count"], "windows": ["7 days"]}]},
            "no rows can be pushed to a view of aggregations. Leave it out.",
        ),
    ],
)
def test_what_cannot_take_rows_is_named(tmp_path, said, keys, why):
    with pytest.raises(DeclarationError) as refused:
        loaded(tmp_path, said, **keys)
    assert f"customer_orders: meta.feature_view.landing: {why}" in str(refused.value)
