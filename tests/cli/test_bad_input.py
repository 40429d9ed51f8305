"""Bad input gets one clear error that says what, where and what now; the exit code is not zero and nothing is half done."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from pathlib import Path

import duckdb
import pytest
from redis_server import RedisServer
from shop_project import YAML, dbt, fsdbt, make_shop

SPINE = "select 1 as customer_id, timestamp '2024-01-02' as event_timestamp"


def refused(shop: Path, *arguments: str, code: int, **environment: str) -> str:
    """The one message of a command that must fail with that code, and leave no traceback and no output."""
    done = fsdbt(shop, *arguments, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def test_no_project_here(tmp_path: Path) -> None:
    message = refused(tmp_path, "list", code=3)
    assert "dbt_project.yml" in message
    assert "--project-dir" in message


def test_no_manifest_yet(tmp_path: Path) -> None:
    message = refused(make_shop(tmp_path), "list", code=3)
    assert "manifest.json" in message
    assert "dbt build" in message


def test_a_manifest_of_another_project(shop: Path) -> None:
    manifest = json.loads((shop / "target/manifest.json").read_text())
    manifest["metadata"]["project_name"] = "bakery"
    (shop / "target/manifest.json").write_text(json.dumps(manifest))
    message = refused(shop, "list", code=3)
    assert "bakery" in message
    assert "shop" in message


def test_a_manifest_cut_short(shop: Path) -> None:
    text = (shop / "target/manifest.json").read_text()
    (shop / "target/manifest.json").write_text(text[: len(text) // 2])
    assert "manifest.json" in refused(shop, "list", code=3)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("churn_modle", "No feature service named 'churn_modle'. Did you mean 'churn_model'?"),
        ("customer_order:amount", "No feature view named 'customer_order'. Did you mean 'customer_orders'?"),
        ("customer_orders:amuont", "No feature of 'customer_orders' named 'amuont'. Did you mean 'amount'?"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(shop: Path, features: str, message: str) -> None:
    assert message in refused(shop, "train", features, "--spine", SPINE, code=2)


def test_a_spine_without_the_join_key(shop: Path) -> None:
    message = refused(shop, "train", "churn_model", "--spine", "select 1 as customer, now() as event_timestamp", code=2)
    assert "customer_id" in message
    assert "'customer'" in message


def test_a_spine_without_its_timestamp(shop: Path) -> None:
    message = refused(shop, "train", "churn_model", "--spine", "select 1 as customer_id, now() as at", code=2)
    assert "event_timestamp" in message
    assert "--event-timestamp" in message or "event_timestamp=" in message


def test_a_spine_whose_timestamp_is_text(shop: Path) -> None:
    message = refused(shop, "train", "churn_model", "--spine", "select 1 as customer_id, '2024-01-02' as event_timestamp", code=2)
    assert "event_timestamp" in message


def test_a_spine_that_is_no_sql(shop: Path) -> None:
    assert refused(shop, "train", "churn_model", "--spine", "selct 1", code=4)


def test_a_spine_model_that_does_not_exist(shop: Path) -> None:
    assert "customer_orders" in refused(shop, "train", "churn_model", "--spine", "ref('customer_order')", code=2)


def test_a_training_set_replaces_no_table_unasked(shop: Path) -> None:
    train = ("train", "customer_orders:*", "--spine", SPINE, "--table", "main.customer_profile")
    assert "customer_profile already" in refused(shop, *train, code=2)
    assert fsdbt(shop, *train, "--overwrite").returncode == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("churn_model",), "FEATURES cannot be given with --locked"),
        (("--limit", "3"), "--limit cannot be given with --locked"),
        (("--table", "main.t"), "--table cannot be given with --locked"),
        (("--event-timestamp", "event_timestamp"), "--event-timestamp cannot be given with --locked"),
        (("--full-feature-names",), "--full-feature-names cannot be given with --locked"),
        (("--explain",), "--explain cannot be given with --locked"),
        (("--output", "./train.parquet"), "is the locked training set"),
        (("--output", "train.csv"), "--output writes Parquet"),
        (("--spine", f"{SPINE} limit 0"), "it had 1 rows, and this has 0"),
        (("--spine", "nowhere.parquet"), "nowhere.parquet cannot be read"),
    ],
)
def test_what_a_lock_already_says(locked_shop: Path, options: tuple[str, ...], message: str) -> None:
    before = sorted((path.name, path.stat().st_mtime_ns) for path in locked_shop.glob("*.parquet*"))
    assert message in refused(locked_shop, "train", "--locked", "train.parquet", *options, code=2)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in locked_shop.glob("*.parquet*")) == before


@pytest.fixture(scope="module")
def locked_shop(built_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Path(shutil.copytree(built_shop, tmp_path_factory.mktemp("locked") / "shop"))
    fsdbt(shop, "train", "churn_model", "--spine", SPINE, "--output", "train.parquet", check=True)
    return shop


def test_a_training_set_without_a_lock(shop: Path) -> None:
    assert "There is no lock train.parquet.lock.json" in refused(shop, "train", "--locked", "train.parquet", code=2)
    (shop / "train.parquet.lock.json").write_text("{}")
    assert "is no lock of a training set" in refused(shop, "train", "--locked", "train.parquet", code=2)


@pytest.mark.parametrize("arguments", [(), ("churn_model",), ("--spine", SPINE)])
def test_a_training_set_of_nothing_or_for_nothing(shop: Path, arguments: tuple[str, ...]) -> None:
    assert "FEATURES for a --spine" in refused(shop, "train", *arguments, code=2)


def test_a_training_set_that_cannot_be_written(shop: Path) -> None:
    train = ("train", "customer_orders:*", "--spine", SPINE, "--output")
    assert "no folder" in refused(shop, *train, "nowhere/train.parquet", code=2)
    assert "Parquet" in refused(shop, *train, "train.csv", code=2)


def test_a_key_of_the_wrong_type(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    assert "customer_id='one' is no int32" in refused(shop, "get", "churn_model", "customer_id=one", code=2)
    assert "Did you mean 'customer_id'?" in refused(shop, "get", "churn_model", "customerid=1", code=2)


def test_reading_before_anything_was_materialized(shop: Path) -> None:
    message = refused(shop, "get", "churn_model", "customer_id=1", code=5)
    assert "fsdbt materialize" in message


DECLARATIONS = {
    "a timestamp of type text": (
        "timestamp: ordered_at",
        "timestamp: amount_text",
        "amount_text",
    ),
    "no timestamp": ("          timestamp: ordered_at\n", "", "timestamp"),
    "no entity": (
        "          entities: {customer: customer_id}\n          timestamp: ordered_at",
        "          timestamp: ordered_at",
        "entities",
    ),
    "an unknown key": ("timestamp: ordered_at", "timestamp: ordered_at\n          tttl: 7 days", "'ttl'"),
    "a bad duration": ("ttl: 7 days", "ttl: a week or so", "a week or so"),
    "a column that is not there": ("created_timestamp: loaded_at", "created_timestamp: loaded_on", "loaded_at"),
    "an unknown feature in a service": ("customer_profile:tier", "customer_profile:teir", "'tier'"),
}


@pytest.mark.parametrize("what", DECLARATIONS)
def test_a_wrong_declaration_names_file_model_and_remedy(what: str, tmp_path: Path) -> None:
    before, after, named = DECLARATIONS[what]
    assert before in YAML
    orders = "select 1 as customer_id, timestamp '2024-01-01' as ordered_at, now() as loaded_at, 'x' as amount_text"
    shop = make_shop(tmp_path, yaml=YAML.replace(before, after, 1), orders=orders)
    dbt(shop, "run")
    message = refused(shop, "materialize", code=3)
    assert "models/" in message
    assert named in message


@pytest.mark.parametrize("config", ["materialized='ephemeral'", "enabled=false"])
def test_a_feature_view_that_is_no_table(config: str, tmp_path: Path) -> None:
    yaml = YAML.replace("depends_on: [ref('customer_orders'), ref('customer_profile')]", "depends_on: [ref('customer_orders')]")
    shop = make_shop(tmp_path, yaml=yaml, profile=f"{{{{ config({config}) }}}} select 1 as customer_id, now() as since, 'x' as tier")
    dbt(shop, "run")
    message = refused(shop, "materialize", code=3)
    assert "customer_profile" in message


def test_a_redis_that_is_down(shop: Path) -> None:
    message = refused(shop, "materialize", "--online-store", "redis://:sesame@127.0.0.1:1/0", code=5)
    assert "127.0.0.1:1" in message
    assert "sesame" not in message


def test_a_redis_that_refuses_the_password(shop: Path) -> None:
    with RedisServer("--requirepass", "sesame") as redis:
        message = refused(shop, "materialize", "--online-store", f"redis://:wrong-word@127.0.0.1:{redis.port}/0", code=5)
        assert "wrong-word" not in message
        assert fsdbt(shop, "materialize", "--online-store", f"redis://:sesame@127.0.0.1:{redis.port}/0").returncode == 0


def test_something_that_is_no_redis(shop: Path) -> None:
    with NoRedis() as port:
        assert str(port) in refused(shop, "materialize", "--online-store", f"redis://127.0.0.1:{port}/0", code=5)


def test_an_online_store_of_an_unknown_kind(shop: Path) -> None:
    assert "redis://" in refused(shop, "materialize", "--online-store", "rediss//cache", code=3)


def test_a_database_that_another_process_writes(shop: Path) -> None:
    with duckdb.connect(shop / "shop.duckdb"):
        message = refused(shop, "train", "churn_model", "--spine", SPINE, code=4)
    assert "shop.duckdb" in message


def test_a_model_that_is_not_built(shop: Path) -> None:
    with duckdb.connect(shop / "shop.duckdb") as connection:
        connection.execute("drop table customer_profile")
    done = fsdbt(shop, "materialize", "--all")
    assert done.returncode in (1, 3)
    assert "customer_profile" in done.stderr
    assert "dbt" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_view_that_fails_does_not_keep_the_others_back(shop: Path) -> None:
    with duckdb.connect(shop / "shop.duckdb") as connection:
        connection.execute("create or replace table customer_profile as select 'one' as customer_id, now() as since, 'x' as tier")
    done = fsdbt(shop, "materialize", "--all", "--json")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


class NoRedis:
    """A port that takes connections and answers with something that is not Redis."""

    def __enter__(self) -> int:
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._answer, daemon=True).start()
        return int(self._socket.getsockname()[1])

    def _answer(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def __exit__(self, *error: object) -> None:
        self._socket.close()
