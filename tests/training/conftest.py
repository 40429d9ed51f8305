"""A shop that the real dbt has built once; each test gets a copy of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from shop_project import dbt, make_shop


@pytest.fixture(scope="session")
def built_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = make_shop(tmp_path_factory.mktemp("built") / "shop")
    dbt(shop, "build")
    return shop


@pytest.fixture
def shop(built_shop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built_shop, tmp_path / "shop"))
