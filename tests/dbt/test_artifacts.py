from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from manifest_files import CUSTOMER, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.run_results import read_run_results
from featurestore.errors import ManifestError, UnknownNameError
from featurestore.registry.definitions import Relation


def test_a_missing_manifest_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"There is no .*manifest\.json\. Run `dbt parse` or `dbt build`"):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"metadata": {"dbt_version": "1.11', "\x00", '{"metadata": 7, "nodes": {}}', '{"nodes": {"model.a.b": []}, "metadata": {}}'],
)
def test_a_manifest_that_is_cut_off_or_garbled_says_how_to_write_it_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(
        ManifestError, match=r"manifest\.json cannot be understood: .* Run `dbt parse` or `dbt build` in the project to write it anew\."
    ):
        read_manifest(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    "content", [{}, {"metadata": {}}, {"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}, "nodes": {}}]
)
def test_another_json_file_is_no_manifest(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"is no dbt manifest\. Run `dbt parse`"):
        read_manifest(write_manifest(tmp_path / "manifest.json", content))


def test_the_manifest_of_another_project_is_refused(tmp_path: Path) -> None:
    path = write_manifest(tmp_path / "manifest.json", manifest())
    assert read_manifest(path, project_name="shop").project_name == "shop"
    with pytest.raises(ManifestError, match=r"belongs to the dbt project 'shop', not to 'bank'.* --project-dir"):
        read_manifest(path, project_name="bank")


def test_keys_may_be_absent_or_null_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    sparse = {
        "metadata": {"project_name": "shop", "env": {"X": "1"}},
        "brand_new": [1, 2],
        "exposures": None,
        "groups": None,
        "disabled": None,
        "nodes": {
            "model.shop.m": {
                "unique_id": "model.shop.m",
                "name": "m",
                "resource_type": "model",
                "config": {"meta": {"feature_view": {"entity": "id", "timestamp": "at"}}, "brand_new": {}},
                "columns": None,
                "tags": None,
                "contract": None,
                "constraints": None,
                "description": None,
            },
            "test.shop.t.1": {"anything": True},
        },
    }
    registry = load_registry(read_manifest(write_manifest(tmp_path / "manifest.json", sparse)))
    assert [view.name for view in registry.views] == ["m"]


def test_an_older_dbt_keeps_meta_beside_the_config(tmp_path: Path) -> None:
    node = model("m", meta={"feature_view": CUSTOMER}, config={"meta": {}})
    exposure = {
        "unique_id": "exposure.shop.e",
        "name": "e",
        "type": "ml",
        "config": {"enabled": True},
        "meta": {"feature_service": {"features": ["m:*"]}},
    }
    registry = load_registry(read_manifest(write_manifest(tmp_path / "manifest.json", manifest(node, exposures=[exposure]))))
    assert ([view.name for view in registry.views], [service.name for service in registry.services]) == (["m"], ["e"])


def test_a_models_relation_is_found_by_its_name(tmp_path: Path) -> None:
    nodes = [
        model("labels", alias="labels_v3"),
        model("countries", kind="seed"),
        model("risk", version=2, latest_version=2, alias="risk_v2"),
        model("draft", config={"materialized": "ephemeral"}),
    ]
    read = read_manifest(write_manifest(tmp_path / "manifest.json", manifest(*nodes)))
    assert read.relation("labels") == Relation("labels_v3", "main", "warehouse")
    assert read.relation("risk") == read.relation("risk.v2") == Relation("risk_v2", "main", "warehouse")
    assert read.relation("countries").identifier == "countries"
    with pytest.raises(UnknownNameError, match=r"No model named 'lables'\. Did you mean 'labels'\?"):
        read.relation("lables")
    with pytest.raises(UnknownNameError):
        read.relation("draft")


# run_results.json


def write_run(tmp_path: Path, args: dict[str, Any], *results: tuple[str, str]) -> Path:
    content = {
        "metadata": {"invocation_id": "run-1", "generated_at": "2024-01-01T00:00:00Z"},
        "args": args,
        "results": [{"unique_id": key, "status": status, "message": None, "timing": []} for key, status in results],
    }
    path = tmp_path / "run_results.json"
    path.write_text(json.dumps(content))
    return path


def test_where_dbt_never_ran_there_are_no_results(tmp_path: Path) -> None:
    assert read_run_results(tmp_path / "run_results.json") is None


def test_a_run_says_how_each_node_fared(tmp_path: Path) -> None:
    path = write_run(
        tmp_path,
        {"which": "build", "full_refresh": True},
        ("model.shop.a", "success"),
        ("model.shop.b", "partial success"),
        ("model.shop.c", "error"),
        ("model.shop.d", "skipped"),
    )
    run = read_run_results(path)
    assert run is not None
    assert (run.invocation_id, run.which, run.full_refresh, run.publishable) == ("run-1", "build", True, True)
    assert {result.unique_id[-1]: result.built for result in run.results} == {"a": True, "b": True, "c": False, "d": False}
    assert run.status("model.shop.x") is None


@pytest.mark.parametrize("which", ["run", "build", "snapshot", "retry", "compile", "test", "show", "generate", "seed"])
def test_only_what_a_building_command_wrote_is_published(tmp_path: Path, which: str) -> None:
    run = read_run_results(write_run(tmp_path, {"which": which}))
    assert run is not None
    assert run.publishable is (which in ("run", "build", "snapshot", "retry"))


def test_the_command_is_read_from_the_whole_line_where_nothing_else_says_it(tmp_path: Path) -> None:
    run = read_run_results(write_run(tmp_path, {"invocation_command": "dbt --quiet build --select a"}))
    assert run is not None
    assert run.which == "build"


@pytest.mark.parametrize("text", ["", "{", '{"metadata": {}}', "[]"])
def test_results_that_are_garbled_say_how_to_write_them_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "run_results.json").write_text(text)
    with pytest.raises(ManifestError, match=r"run_results\.json cannot be understood: .* Run `dbt parse` or `dbt build`"):
        read_run_results(tmp_path / "run_results.json")


def test_a_failed_test_is_laid_to_the_model_it_is_about(tmp_path: Path) -> None:
    tests = {
        "test.shop.unique_orders.1": {
            "attached_node": "model.shop.orders",
            "depends_on": {"nodes": ["model.shop.orders", "model.shop.customers"]},
        },
        "test.shop.singular.2": {"attached_node": None, "depends_on": {"nodes": ["model.shop.customers"]}},
        "test.shop.warned.3": {"attached_node": "model.shop.shops"},
    }
    content = manifest()
    content["nodes"].update(tests)
    run = read_run_results(
        write_run(
            tmp_path,
            {"which": "build"},
            ("test.shop.unique_orders.1", "fail"),
            ("test.shop.singular.2", "error"),
            ("test.shop.warned.3", "warn"),
            ("test.shop.gone.4", "fail"),
        )
    )
    assert run is not None
    failed = read_manifest(write_manifest(tmp_path / "manifest.json", content)).failed_tests(run)
    assert failed == {"model.shop.orders": "unique_orders", "model.shop.customers": "singular"}


def test_a_manifest_of_five_thousand_models_is_loaded_whole(tmp_path: Path) -> None:
    nodes = [model(f"orders_{number}", CUSTOMER, package="shop") for number in range(5000)]
    registry = load_registry(read_manifest(write_manifest(tmp_path / "manifest.json", manifest(*nodes))))
    assert len(registry.views) == 5000
    assert [view.name for view in registry.select(["orders_4*9,entity:customer"])][-1] == "orders_4999"
