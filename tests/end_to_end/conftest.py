"""The reference project, built once by the real dbt."""

from __future__ import annotations

import pytest
from dbt_command import DbtRun, copy_package, run_dbt


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    return run_dbt(copy_package(tmp_path_factory.mktemp("reference") / "featurestore"), "build")
