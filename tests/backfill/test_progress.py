from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from featurestore.backfill.batches import Span
from featurestore.backfill.progress import ModelProgress, ProgressFile
from featurestore.errors import ProjectError

START = datetime(2024, 1, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ORDERS = ModelProgress(START, START + 31 * DAY, "a1b2").with_done([Span(START, START + DAY), Span(START + DAY, START + 3 * DAY)])


def test_nothing_is_known_before_the_first_backfill(tmp_path: Path) -> None:
    assert ProgressFile(tmp_path / "target" / "progress.json", "dev").read() == {}


def test_what_was_written_is_read_back_for_that_target_only(tmp_path: Path) -> None:
    path = tmp_path / "target" / "progress.json"
    ProgressFile(path, "dev").write({"model.shop.orders": ORDERS})
    ProgressFile(path, "prod").write({"model.shop.visits": ORDERS})
    ProgressFile(path, "dev").write({"model.shop.visits": ORDERS})
    assert ProgressFile(path, "dev").read() == {"model.shop.orders": ORDERS, "model.shop.visits": ORDERS}
    assert ProgressFile(path, "prod").read() == {"model.shop.visits": ORDERS}
    assert [each.name for each in path.parent.iterdir()] == [path.name], "nothing is left beside it"


def test_neighbouring_batches_are_kept_as_one_span() -> None:
    assert ORDERS.spans_done == (Span(START, START + 3 * DAY),)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2}', '{"targets": {"dev": {"m": {"start": 1}}}}', "\x00"])
def test_a_file_that_cannot_be_understood_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "progress.json"
    path.write_text(text)
    with pytest.raises(ProjectError, match=r"progress\.json .*Remove it"):
        ProgressFile(path, "dev").read()
