"""`fsdbt audit`, as a scheduler runs it after materialize."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from shop_project import fsdbt


def test_after_materialize_both_sides_agree_until_a_row_is_lost(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    agreed = fsdbt(shop, "audit", "--prometheus", "audit.prom", check=True)
    assert agreed.stdout.splitlines()[0].split() == ["feature", "equal", "different", "missing", "extra", "stale", "expired"]
    assert "online and offline say the same" in agreed.stderr
    assert 'featurestore_audit_agrees{of="online",feature_view="customer_orders"} 1' in (shop / "audit.prom").read_text(encoding="utf-8")
    with sqlite3.connect(next(shop.glob("**/*online*.db"))) as connection:
        assert connection.execute("DELETE FROM rows WHERE CAST(key AS TEXT) LIKE '%:1}:customer_orders'").rowcount == 1
    lost = fsdbt(shop, "audit", "--all", "--json")
    assert lost.returncode == 7
    (orders, profile) = json.loads(lost.stdout)["views"]
    assert (orders["agrees"], profile["agrees"]) == (False, True)
    (example,) = orders["features"][0]["examples"]
    assert (example["outcome"], example["entity"], example["online"]) == ("missing", {"customer_id": 1}, None)
    shown = fsdbt(shop, "audit", "--select", "customer_orders")
    assert "customer_orders:amount missing for customer_id=1: online null, offline 20.25 of 2024-01-03 09:00:00Z" in shown.stderr


def test_what_was_never_published_disagrees(shop: Path) -> None:
    failed = fsdbt(shop, "audit")
    assert failed.returncode == 7
    assert "customer_orders was never published; run `fsdbt materialize`" in failed.stderr


def test_an_instant_may_be_given_and_a_wrong_one_is_an_error(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    assert fsdbt(shop, "audit", "--at", "2024-01-05", "--select", "customer_orders").returncode == 0
    assert fsdbt(shop, "audit", "--at", "soon").returncode == 2


def test_what_was_served_is_compared_with_training_at_the_instants_when_it_was(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    environment = {"FSDBT_SERVED_LOG": "served", "FSDBT_SERVED_LOG_RATE": "1"}
    fsdbt(shop, "get", "customer_orders:amount", "customer_id=1", check=True, **environment)
    agreed = fsdbt(shop, "audit", "--served", "served", "--since", "1h", check=True)
    assert "online and offline say the same: 1 served rows of 1 feature views from " in agreed.stderr
    (file,) = (shop / "served").iterdir()
    text = file.read_text(encoding="utf-8")
    assert "20.25" in text
    file.write_text(text.replace("20.25", "20.24") + text[:50], encoding="utf-8")
    shifted = fsdbt(shop, "audit", "--served", "served", "--json")
    assert shifted.returncode == 7
    assert "1 lines of served could not be read" in shifted.stderr
    document = json.loads(shifted.stdout)
    assert document["log"] == {"files": 1, "lines": 1, "unreadable": 1, "other_projects": 0, "before_since": 0}
    assert document["since"] == document["until"] < document["at"]
    (orders,) = document["views"]
    (example,) = orders["features"][0]["examples"]
    assert (example["outcome"], example["online"], example["offline"]) == ("different", "20.24", "20.25")
    assert (example["asked_at"] > example["materialized_at"], orders["agrees"]) == (True, False)
    nothing = fsdbt(shop, "audit", "--served", "served", "--since", "2100-01-01")
    assert (nothing.returncode, "Nothing was compared" in nothing.stderr) == (2, True)
    unwritten = fsdbt(shop, "audit", "--served", "served", "--prometheus", "nowhere/audit.prom")
    assert (unwritten.returncode, "--prometheus nowhere/audit.prom: cannot be written" in unwritten.stderr) == (2, True)
    assert "DIFFER" in unwritten.stderr


def test_options_of_the_other_kind_of_audit_are_refused(shop: Path) -> None:
    for arguments, message in (
        (("--all", "--sample", "5"), "--all takes all entity keys, and --sample some of them"),
        (("--since", "1d"), "--since is about a log of served values"),
        (("--served", "logs", "--all"), "--all is about what is online"),
        (("--served", "nowhere"), "nowhere holds no log of served values"),
    ):
        refused = fsdbt(shop, "audit", *arguments)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
