"""`fsdbt plan --against`, as the CI of a pull request runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shop_project import ORDERS, dbt, fsdbt

from featurestore.changes.compare import FeatureChange, Kind, ProjectChanges, ViewChange
from featurestore.cli.changes import BREAKING, show_changes
from featurestore.registry.definitions import FeatureReference


def test_a_pull_request_is_told_what_it_changes(shop: Path, tmp_path: Path) -> None:
    production = shutil.copytree(shop / "target", tmp_path / "production")
    same = fsdbt(shop, "plan", "--against", str(production), check=True)
    assert (same.stdout, same.stderr.strip()) == ("", "no feature changes")

    (shop / "models/customer_orders.sql").write_text(ORDERS.replace("20.25", "21.25"), encoding="utf-8")
    dbt(shop, "build")
    redefined = fsdbt(shop, "plan", "--against", str(production / "manifest.json"), check=True)
    assert "customer_orders:amount     redefined" in redefined.stdout
    assert "nothing breaks; feature services touched: churn_model" in redefined.stderr

    (shop / "models/customer_orders.sql").write_text(ORDERS.replace("amount)", "total)"), encoding="utf-8")
    dbt(shop, "build")
    broken = fsdbt(shop, "plan", "--against", str(production), "--markdown")
    assert broken.returncode == 8
    assert "### Features: BREAKING; feature services touched: churn_model" in broken.stdout
    assert "| customer_orders:amount | renamed | breaking | now total | churn_model |" in broken.stdout
    document = json.loads(fsdbt(shop, "plan", "--against", str(production), "--json").stdout)
    assert (document["breaking"], document["services_touched"]) == (True, ["churn_model"])


def test_a_bar_does_not_end_a_cell_of_the_table(capsys) -> None:
    change = FeatureChange(FeatureReference("orders", "a|b"), Kind.RENAMED, True, "now a||c", ())
    assert show_changes(ProjectChanges((ViewChange("orders", (change,), ""),), ()), as_json=False, as_markdown=True) == BREAKING
    assert r"| orders:a\|b | renamed | breaking | now a\|\|c |  |" in capsys.readouterr().out


def test_bad_input_is_named(shop: Path) -> None:
    for arguments, said in (
        (("--against", "nowhere"), "nowhere"),
        (("--against", "target", "--select", "x"), "whole projects"),
        (("--markdown",), "--against"),
        (("--against", "target", "--markdown", "--json"), "choose one"),
    ):
        failed = fsdbt(shop, "plan", *arguments)
        assert failed.returncode in (2, 3)
        assert said in failed.stderr
