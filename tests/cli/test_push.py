"""`fsdbt push`, as somebody tries it at a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from shop_project import fsdbt

NEW = {"customer_id": 2, "ordered_at": "2024-06-01T16:00:00", "orders_7d": 9, "amount": "12.34"}
OTHER = {**NEW, "customer_id": 3}


@pytest.mark.parametrize("text", [json.dumps([NEW, OTHER]), f"{json.dumps(NEW)}\n{json.dumps(OTHER)}\n"], ids=["a list", "one row a line"])
def test_rows_from_stdin_are_read_back_at_once(shop: Path, text: str) -> None:
    fsdbt(shop, "materialize", check=True)
    program = Path(sys.executable).with_name("fsdbt")
    pushed = subprocess.run([program, "push", "customer_orders", "-"], cwd=shop, input=text, capture_output=True, text=True)
    assert pushed.stderr == "customer_orders: 2 rows pushed, 2 of them newer than what was online.\n"
    answer = json.loads(fsdbt(shop, "get", "customer_orders:orders_7d", "customer_id=3", "--json", check=True).stdout)
    assert answer["features"]["orders_7d"]["value"] == 9


def test_all_that_is_wrong_is_said_and_nothing_written(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    (shop / "rows.json").write_text(json.dumps([{**NEW, "orders_7d": 2.5}, {**NEW, "amout": 1}]), encoding="utf-8")
    failed = fsdbt(shop, "push", "customer_orders", "rows.json")
    assert failed.returncode == 2
    assert "nothing was written" in failed.stderr
    assert "row 0: orders_7d: must be a whole number" in failed.stderr
    assert "Did you mean 'amount'?" in failed.stderr
