from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from manifest_files import CUSTOMER, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.microbatch import incomplete_models
from featurestore.dbt.run_results import BatchResults, RunResults, read_run_results
from featurestore.timestamps import parse_instant

MICROBATCH = {"materialized": "incremental", "incremental_strategy": "microbatch", "batch_size": "day", "begin": "2024-01-01"}
DAYS = [["2024-01-01T00:00:00+00:00", "2024-01-02T00:00:00+00:00"], ["2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"]]


def run_of(folder: Path, args: dict[str, Any], status: str = "success", batches: dict[str, Any] | None = None) -> RunResults:
    result = {"unique_id": "model.shop.daily", "status": status, "batch_results": batches}
    path = folder / "run_results.json"
    path.write_text(json.dumps({"metadata": {"invocation_id": "1"}, "args": {"which": "run", **args}, "results": [result]}))
    run = read_run_results(path)
    assert run is not None
    return run


def incomplete(folder: Path, run: RunResults, **config: object) -> dict[str, str]:
    content = manifest(model("daily", CUSTOMER, config={**MICROBATCH, **config}))
    return incomplete_models(read_manifest(write_manifest(folder / "manifest.json", content)), run)


def test_batches_and_their_range_are_read(tmp_path: Path) -> None:
    span = {"event_time_start": "2024-01-01T00:00:00", "event_time_end": "2024-01-03T00:00:00"}
    run = run_of(tmp_path, span, "partial success", {"successful": DAYS[:1], "failed": DAYS[1:]})
    first, second, third = (parse_instant(f"2024-01-0{day}") for day in (1, 2, 3))
    assert run.results[0].batches == BatchResults(((first, second),), ((second, third),))
    assert run.event_time == ("2024-01-01T00:00:00", "2024-01-03T00:00:00")
    assert run.publishable, "rows outside the range stay as they are"
    assert run_of(tmp_path, {}).event_time is None


SPAN = {"event_time_start": "2024-01-01T00:00:00", "event_time_end": "2024-01-03T00:00:00"}
PARTLY = {"successful": DAYS[:1], "failed": DAYS[1:]}


@pytest.mark.parametrize(
    ("args", "status", "batches", "config", "reason"),
    [
        ({}, "success", {"successful": DAYS}, {}, None),
        (SPAN, "success", {"successful": DAYS}, {}, None),
        (SPAN, "partial success", PARTLY, {}, None),
        ({"full_refresh": True}, "success", {"successful": DAYS, "failed": None}, {}, None),
        ({"full_refresh": True, **SPAN}, "success", {"successful": DAYS}, {}, "from 2024-01-01T00:00:00 to 2024-01-03T00:00:00 only"),
        ({"full_refresh": True}, "partial success", PARTLY, {}, "1 of 2 batches failed, so their rows are missing"),
        ({"full_refresh": True, **SPAN}, "partial success", PARTLY, {}, "1 of 2 batches failed"),
        ({"full_refresh": True, **SPAN}, "partial success", PARTLY, {"full_refresh": False}, None),
        ({"full_refresh": True, **SPAN}, "error", {"failed": DAYS}, {}, None),
        ({"full_refresh": True, **SPAN}, "success", None, {"materialized": "table"}, None),
    ],
)
def test_only_a_full_refresh_leaves_rows_out(
    tmp_path: Path, args: dict[str, Any], status: str, batches: dict[str, Any] | None, config: dict[str, object], reason: str | None
) -> None:
    found = incomplete(tmp_path, run_of(tmp_path, args, status, batches), **config)
    if reason is None:
        assert found == {}
    else:
        assert list(found) == ["model.shop.daily"]
        assert reason in found["model.shop.daily"]
