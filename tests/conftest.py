"""Each test of what every warehouse promises runs once for each of them, and each of them is started once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from warehouses import WAREHOUSES, RunningWarehouse


def pytest_configure() -> None:
    """Every test brings a profile of its own, whatever dbt is told around here, and however busy the machine is."""
    for name in [name for name in os.environ if name.startswith("DBT_")]:
        del os.environ[name]
    # How long an example takes is told by what else the machine does.
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=pytest.mark.xdist_group(f"warehouse {name}"), id=name) for name in WAREHOUSES]
)
def warehouse_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def running(warehouse_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWarehouse]:
    with WAREHOUSES[warehouse_name].start(tmp_path_factory.mktemp(warehouse_name)) as started:
        yield started


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        name = callspec.params.get("warehouse_name") if callspec is not None else None
        if name is None or callspec is None:
            continue
        test = getattr(item, "originalname", item.name)
        case = callspec.id.replace(name, "", 1).strip("-")
        reason = WAREHOUSES[name].gaps.get(test) or WAREHOUSES[name].gaps.get(f"{test}[{case}]")
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
