"""Our part of the contest: a dbt project whose models are the Parquet files, built by dbt, then the public Python interface.

The models are views, dbt's default, so that the same files are read as Feast reads them, and nothing was prepared beforehand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import contestant
import pyarrow.parquet as pq
from contestant import ENTITY_KEY, SERVICE, TIMESTAMP, Figures

from featurestore import FeatureStore, OnlineFeatureStore

PROJECT = "contest"


class Ours:
    """This feature store over a dbt project."""

    def __init__(self, views: Sequence[Path]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=PROJECT))
        for name, text in _project(views).items():
            path = self._folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._dbt("build")

    def training(self, spine: Path, answers: Path, repeats: int) -> Figures:
        entity_df = pq.read_table(spine).to_pandas()
        with FeatureStore(self._folder) as store:
            store.registry  # noqa: B018 - read now: Feast's declarations are not counted either
            taken, table = contestant.fastest(lambda: store.get_historical_features(entity_df, SERVICE).to_arrow(), repeats)
            explained = str(store.get_historical_features(entity_df, SERVICE).explain())
        pq.write_table(table, answers)
        return {**taken, "explained": explained}

    def online(self, redis_url: str, answers: Path, keys: int, seconds: float) -> Figures:
        empty = contestant.redis_bytes(redis_url)
        with FeatureStore(self._folder, online_store=redis_url) as store:
            store.plan()
            materialize, _ = contestant.timed(store.materialize)
        held = contestant.redis_bytes(redis_url) - empty
        with OnlineFeatureStore(redis_url, PROJECT) as store:
            pq.write_table(store.get_online_features(contestant.sampled_rows(keys), SERVICE).to_arrow(), answers)
            read = contestant.online_latencies(lambda rows: store.get_online_features(rows, SERVICE).to_dict(), keys, seconds)
        return {"materialize": materialize, "redis_bytes": held, "read": read}

    def _dbt(self, *arguments: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_"))}
        done = subprocess.run(
            [Path(sys.executable).with_name("dbt"), *arguments],
            cwd=self._folder,
            env={**inherited, "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"dbt {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _project(views: Sequence[Path]) -> dict[str, str]:
    """The files of the dbt project. YAML reads JSON, so they are written as that."""
    feature_view = {"entities": {"customer": ENTITY_KEY}, "timestamp": TIMESTAMP}
    models = [{"name": view.stem, "config": {"meta": {"feature_view": feature_view}}} for view in views]
    service = {
        "name": SERVICE,
        "type": "ml",
        "owner": {"name": "Benchmarks", "email": "benchmarks@example.com"},
        "depends_on": [f"ref('{view.stem}')" for view in views],
        "config": {"meta": {"feature_service": {"features": [f"{view.stem}:*" for view in views]}}},
    }
    database = {"type": "duckdb", "path": f"{PROJECT}.duckdb"}
    return {
        "dbt_project.yml": json.dumps(
            {"name": PROJECT, "version": "1.0", "profile": PROJECT, "models": {PROJECT: {"+materialized": "view"}}}
        ),
        "profiles.yml": json.dumps({PROJECT: {"target": "dev", "outputs": {"dev": database}}}),
        "models/features.yml": json.dumps({"models": models, "exposures": [service]}),
        **{f"models/{view.stem}.sql": f"select * from read_parquet('{view.resolve()}')\n" for view in views},
    }


if __name__ == "__main__":
    contestant.main(Ours)
