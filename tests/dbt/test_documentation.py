"""What is accepted is documented, what is documented is accepted, and the examples are what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import exposure, manifest, model, write_manifest

from featurestore import config
from featurestore.dbt.aggregations import AGGREGATION_KEYS
from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.meta import DEFAULTS_KEYS, SERVICE_KEYS, VIEW_KEYS
from featurestore.dbt.on_demand import FEATURE_KEYS, ON_DEMAND_KEYS
from featurestore.dbt.project import DbtProject
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import LateData
from featurestore.sql.on_demand.operations import FUNCTIONS
from featurestore.sql.types import parse_data_type

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
METADATA = (REFERENCE / "metadata.md").read_text()
SETTINGS = (REFERENCE / "settings.md").read_text()


def section(text: str, heading: str) -> str:
    """What stands under a heading, down to the next one of its level or above."""
    level = heading.partition(" ")[0]
    start = text.index(f"\n{heading}") + 1
    end = re.search(rf"\n#{{2,{len(level)}}} ", text[start + len(heading) :])
    return text[start : start + len(heading) + end.start()] if end else text[start:]


def first_column(text: str) -> list[str]:
    """The names in the first column of the first table."""
    rows = re.search(r"\n\| .*?\n\| ---.*?\n((?:\|.*\n)+)", text)
    assert rows is not None
    return [name for row in rows.group(1).splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def yaml_blocks(text: str) -> list[Any]:
    return [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]


def test_the_keys_of_a_feature_view_are_those_documented() -> None:
    assert sorted(first_column(section(METADATA, "## A feature view"))) == sorted(VIEW_KEYS)


@pytest.mark.parametrize("key", [key for key in VIEW_KEYS if key != "entity"])
def test_every_key_of_a_feature_view_has_a_section_of_its_own(key: str) -> None:
    assert f"\n### `{key}`\n" in METADATA


def test_the_keys_and_functions_of_an_aggregation_are_those_documented() -> None:
    described = section(METADATA, "### `aggregations`")
    assert first_column(described) == list(AGGREGATION_KEYS)
    assert sorted(first_column(described[described.index("| function |") - 1 :])) == sorted(
        function.value for function in AggregateFunction
    )


def test_the_keys_of_a_feature_service_are_those_documented() -> None:
    assert first_column(section(METADATA, "## A feature service")) == list(SERVICE_KEYS)


def test_the_keys_of_the_defaults_are_those_documented() -> None:
    assert first_column(section(SETTINGS, "## `defaults`")) == list(DEFAULTS_KEYS)
    block = yaml_blocks(section(METADATA, "## Defaults for all views"))[0]
    assert set(block["vars"]["featurestore"]["defaults"]) == set(DEFAULTS_KEYS)


def test_the_settings_are_those_documented() -> None:
    assert first_column(SETTINGS) == list(config.SETTINGS)
    for name in config.SETTINGS:
        assert f"\n## `{name}`\n" in SETTINGS
    assert config.DEFAULT_ONLINE_STORE in SETTINGS


def test_the_words_for_late_data_are_those_documented() -> None:
    assert all(f"`{word.value}`" in section(METADATA, "### `late_data`") for word in LateData)


def test_the_column_types_are_what_they_become() -> None:
    rows = re.findall(r"^\| (`.*`.*?) \| (`.*) \|$", section(METADATA, "## Columns and their types"), re.MULTILINE)
    assert len(rows) == 13
    for types, value_types in rows:
        names, become = re.findall(r"`([^`]+)`", types), re.findall(r"`([^`]+)`", value_types)
        for number, name in enumerate(names):
            # An enumeration's type lists its values: the word alone is none.
            if name != "enum":
                assert str(parse_data_type(name, "duckdb")) == (become[number] if len(become) == len(names) else become[0])


def test_the_examples_become_feature_views_and_services(tmp_path: Path) -> None:
    blocks = [block for block in yaml_blocks(METADATA) if isinstance(block, dict)]
    nodes, exposures = [], []
    for block in blocks:
        for kind in ("models", "snapshots"):
            for said in block.get(kind, ()):
                declared = {column["name"]: column for column in said.pop("columns", ())}
                settings = {"materialized": "snapshot" if kind == "snapshots" else "table", **said.pop("config")}
                contract = settings.pop("contract", {}).get("enforced", False)
                nodes.append(model(said.pop("name"), None, declared, kind=kind[:-1], contract=contract, config=settings, **said))
        for said in block.get("exposures", ()):
            exposures.append(exposure(said.pop("name"), [], config=said.pop("config"), kind=said.pop("type"), owner=said["owner"]))
    registry = load_registry(read_manifest(write_manifest(tmp_path / "manifest.json", manifest(*nodes, exposures=exposures))))
    assert [view.name for view in registry.views] == ["customer_orders", "customer_profile", "customer_spend", "device_health", "payments"]
    assert len(registry.view("payments").features) == 8 * 3 + 2
    assert [feature.name for feature in registry.view("customer_spend").on_demand] == ["amount_ratio", "is_large", "amount_cents"]
    assert [feature.name for feature in registry.view("customer_orders").features] == ["orders_7d", "amount_7d"]
    assert [service.name for service in registry.services] == ["churn_model"]


def test_the_examples_of_settings_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("REDIS_PASSWORD", "x"), ("REDIS_URL", "redis://prod")):
        monkeypatch.setenv(name, value)
    whole, per_target = yaml_blocks(SETTINGS)
    assert config.load_settings(DbtProject(tmp_path, "shop", vars=whole["vars"]), "dev", {}).online_store == "redis://:x@cache:6379/0"
    for target, url in (("prod", "redis://prod"), ("dev", "sqlite:///online_store.db")):
        assert config.load_settings(DbtProject(tmp_path, "shop", vars={"featurestore": per_target}), target, {}).online_store == url


def test_the_keys_of_features_on_demand_are_those_documented() -> None:
    described = section(METADATA, "## Features on demand")
    assert first_column(described) == list(ON_DEMAND_KEYS)
    assert first_column(described[described.index("| key of a feature |") - 1 :]) == list(FEATURE_KEYS)


def test_the_functions_of_an_expression_are_those_documented() -> None:
    table = section((REFERENCE / "on-demand.md").read_text(), "## What an expression may say").partition("\n| |")[2]
    named = set(re.findall(r"`([a-z_]+)", table[: table.index("\n\n")]))
    assert set(FUNCTIONS) <= named, "each function is named"
    syntax = {"between", "in", "is", "and", "or", "not", "case", "interval", "extract", "cast", "x"}
    assert named - set(FUNCTIONS) <= syntax, "and nothing else is"
