"""The command line as its users meet it: real processes over a project that the real dbt built."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
from redis_server import RedisServer
from shop_project import ORDERS, PROFILE, YAML, dbt, fsdbt, make_shop

from featurestore.materialize.lease import leased
from featurestore.online_store.connect import open_store

SPINE = "select 1 as customer_id, timestamp '2024-01-02' as event_timestamp, 'kept' as note"


def test_help_names_every_command(shop: Path) -> None:
    shown = fsdbt(shop, "--help", check=True).stdout
    for command in (
        "init",
        "list",
        "show",
        "lineage",
        "sql",
        "train",
        "plan",
        "materialize",
        "build",
        "backfill",
        "get",
        "audit",
        "config",
    ):
        assert f"\n  {command} " in shown
        assert "Usage:" in fsdbt(shop, command, "--help", check=True).stdout


def test_list_names_views_services_features_and_entities(shop: Path) -> None:
    listed = json.loads(fsdbt(shop, "list", "--json", check=True).stdout)
    assert [view["feature_view"] for view in listed["views"]] == ["customer_orders", "customer_profile"]
    assert [service["feature_service"] for service in listed["services"]] == ["churn_model"]
    assert "customer_orders:amount     decimal(10, 2)" in fsdbt(shop, "list", "features", check=True).stdout
    assert "customer_id int32" in fsdbt(shop, "list", "entities", check=True).stdout
    assert "customer_profile" not in fsdbt(shop, "list", "views", "--select", "customer_o*", check=True).stdout


def test_show_tells_all_of_a_view_and_of_a_service(shop: Path) -> None:
    view = json.loads(fsdbt(shop, "show", "customer_profile", "--json", check=True).stdout)
    assert view["ttl"] == "7 days"
    assert view["file"] == "models/customer_profile.sql"
    service = json.loads(fsdbt(shop, "show", "churn_model", "--json", check=True).stdout)
    assert [line["feature"] for line in service["features"]] == [
        "customer_orders:orders_7d",
        "customer_orders:amount",
        "customer_profile:tier",
    ]


def test_sql_prints_statements_that_the_warehouse_runs(shop: Path) -> None:
    import duckdb

    training = fsdbt(shop, "sql", "churn_model", "--spine", SPINE, "--explain", check=True)
    assert "customer_orders" in training.stderr
    latest = json.loads(fsdbt(shop, "sql", "churn_model", "--json", check=True).stdout)
    with duckdb.connect(shop / "shop.duckdb", read_only=True) as connection:
        assert len(connection.sql(training.stdout).fetchall()) == 1
        assert {view: len(connection.sql(statement).fetchall()) for view, statement in latest.items()} == {
            "customer_orders": 2,
            "customer_profile": 2,
        }


def test_train_shows_the_first_rows_and_writes_files_and_tables(shop: Path) -> None:
    (row,) = json.loads(fsdbt(shop, "train", "churn_model", "--spine", SPINE, "--json", check=True).stdout)
    assert (row["note"], row["orders_7d"], row["amount"], row["tier"]) == ("kept", 1, "10.50", "gold")
    assert "gold" in fsdbt(shop, "train", "churn_model", "--spine", SPINE, check=True).stdout
    fsdbt(shop, "train", "churn_model", "--spine", SPINE, "--output", "train.parquet", "--table", "main.train", check=True)
    assert pq.read_table(shop / "train.parquet").num_rows == 1
    again = fsdbt(shop, "train", "churn_model", "--spine", "select customer_id, event_timestamp from main.train", "--json", check=True)
    assert len(json.loads(again.stdout)) == 1


def test_a_locked_training_set_is_the_same_until_a_feature_moves(shop: Path) -> None:
    fsdbt(shop, "train", "churn_model", "--spine", SPINE, "--output", "train.parquet", check=True)
    same = fsdbt(shop, "train", "--locked", "train.parquet", check=True)
    assert "the same, 1 rows." in same.stderr
    assert "moved" not in same.stdout
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute("update customer_profile set tier = 'silver'")
    for path in ("train.parquet", "train.parquet.lock.json"):
        different = fsdbt(shop, "train", "--locked", path)
        assert different.returncode == 6
        assert "different, 1 of 3 features moved." in different.stderr
        last = different.stdout.splitlines()[-1]
        assert last.startswith("customer_profile:tier")
        assert last.endswith(" 1 row differs; first row 0 (customer_id=1 at 2024-01-02 00:00:00): gold then, silver now")
    shown = fsdbt(shop, "train", "--locked", "train.parquet", "--output", "now.parquet", "--json")
    assert shown.returncode == 6
    report = json.loads(shown.stdout)
    assert (report["same"], report["written"], report["spine"]["verdict"]) == (False, "now.parquet", "same")
    assert report["features"][-1]["example"]["then"] == "gold"
    assert pq.read_table(shop / "now.parquet").column("tier").to_pylist() == ["silver"]


def test_a_locked_training_set_says_what_changed_around_it(shop: Path) -> None:
    fsdbt(shop, "train", "customer_profile:tier", "--spine", SPINE, "--output", "train.parquet", check=True)
    (shop / "train.parquet").unlink()
    (shop / "models/shop.yml").write_text(YAML.replace("ttl: 7 days", "ttl: 1 hour"))
    (shop / "models/customer_profile.sql").write_text(PROFILE + "-- changed\n")
    dbt(shop, "run")
    shown = fsdbt(shop, "train", "--locked", "train.parquet")
    assert shown.returncode == 6
    assert "  customer_profile: checksum\n  customer_profile: ttl: 7 days then, 1 hour now\n" in shown.stderr
    assert "The locked file is gone, so its rows were not compared." in shown.stderr


def test_a_parquet_file_can_be_the_spine(shop: Path) -> None:
    fsdbt(shop, "train", "customer_orders:amount", "--spine", SPINE, "--output", "spine.parquet", check=True)
    (row,) = json.loads(fsdbt(shop, "train", "customer_profile:*", "--spine", "spine.parquet", "--json", check=True).stdout)
    assert (row["note"], row["amount"], row["tier"]) == ("kept", "10.50", "gold")
    fsdbt(shop, "train", "customer_profile:*", "--spine", "spine.parquet", "--output", "train.parquet", check=True)
    (shop / "train.parquet").unlink()
    assert "--spine" in fsdbt(shop, "train", "--locked", "train.parquet").stderr
    fsdbt(shop, "train", "--locked", "train.parquet", "--spine", "spine.parquet", check=True)


def test_a_model_can_be_the_spine(shop: Path) -> None:
    rows = fsdbt(shop, "train", "customer_profile:tier", "--spine", "ref('customer_orders')", "--event-timestamp", "ordered_at", "--json")
    assert [row["tier"] for row in json.loads(rows.stdout)] == ["gold", "gold", None]


def test_the_plan_is_what_materialize_does(shop: Path) -> None:
    planned = json.loads(fsdbt(shop, "plan", "--json", check=True).stdout)
    done = json.loads(fsdbt(shop, "materialize", "--json", check=True).stdout)
    assert [task["view"] for task in planned["publish"]] == [one["view"] for one in done["published"]]
    assert [one["rows"] for one in done["published"]] == [2, 0], "what expired long ago is not published"


def test_a_source_that_is_suddenly_empty_is_not_published_before_somebody_says_so(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    with duckdb.connect(shop / "shop.duckdb") as connection:
        connection.execute("delete from customer_orders")
    stopped = fsdbt(shop, "materialize", "--all", "--json")
    assert stopped.returncode == 1
    (failed,) = json.loads(stopped.stdout)["failed"]
    assert failed["view"] == "customer_orders"
    assert "no entity key is left" in failed["error"]
    assert "--allow-shrink" in stopped.stderr
    read = json.loads(fsdbt(shop, "get", "customer_orders:amount", "customer_id=1", "--json", check=True).stdout)
    assert read["features"]["amount"]["value"] == "20.25"
    allowed = json.loads(fsdbt(shop, "materialize", "--all", "--allow-shrink", "--json", check=True).stdout)
    assert next((one["view"], one["rows"], one["removed"]) for one in allowed["published"]) == ("customer_orders", 0, 2)


def test_nothing_is_published_twice(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    again = fsdbt(shop, "materialize", check=True)
    assert again.stdout == ""
    assert "already published" in again.stderr
    assert "Nothing new to publish." in again.stderr
    everything = json.loads(fsdbt(shop, "materialize", "--all", "--json", check=True).stdout)
    assert len(everything["published"]) == 2


def test_get_reads_back_what_was_published(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    read = json.loads(fsdbt(shop, "get", "customer_orders:*", "customer_id=1", "--json", check=True).stdout)
    assert read["entity"] == {"customer_id": 1}
    assert read["features"]["amount"] == {"value": "20.25", "status": "PRESENT", "event_timestamp": "2024-01-03T09:00:00+00:00"}
    missing = json.loads(fsdbt(shop, "get", "customer_orders:*", "customer_id=99", "--json", check=True).stdout)
    assert missing["features"]["amount"] == {"value": None, "status": "NOT_FOUND", "event_timestamp": None}


def test_build_runs_dbt_and_publishes_to_redis(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop")
    with RedisServer() as redis:
        built = fsdbt(shop, "build", "--online-store", redis.url, "--json", check=True)
        assert [one["view"] for one in json.loads(built.stdout)["published"]] == ["customer_orders", "customer_profile"]
        assert "PASS=2" in built.stderr, "what dbt says goes to stderr: stdout is data"
        read = fsdbt(shop, "get", "customer_orders:amount", "customer_id=1", "--json", FSDBT_ONLINE_STORE=redis.url, check=True)
        assert json.loads(read.stdout)["features"]["amount"]["value"] == "20.25"


def test_build_publishes_what_succeeded_and_leaves_with_dbts_code(tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "shop", profile="select no_such_column from nowhere")
    built = fsdbt(shop, "build", "--json")
    assert built.returncode == 1
    assert [one["view"] for one in json.loads(built.stdout)["published"]] == ["customer_orders"]
    assert "customer_profile: skipped: dbt did not build it: error" in built.stderr


def test_a_view_whose_test_failed_is_not_published(tmp_path: Path) -> None:
    tests = {"tests/orders_are_unique.sql": "select * from {{ ref('customer_orders') }} where amount is null"}
    shop = make_shop(tmp_path / "shop", extra=tests)
    built = fsdbt(shop, "build", "--json")
    assert built.returncode == 1
    assert [one["view"] for one in json.loads(built.stdout)["published"]] == ["customer_profile"]
    assert "orders_are_unique failed" in built.stderr


def test_other_dbt_commands_do_not_count_as_a_run(shop: Path) -> None:
    dbt(shop, "compile")
    refused = fsdbt(shop, "materialize")
    assert refused.returncode == 3
    assert "compile" in refused.stderr
    assert "--all" in refused.stderr
    assert fsdbt(shop, "materialize", "--all").returncode == 0


def test_a_run_that_left_rows_out_does_not_count(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    dbt(shop, "run", "--empty")
    refused = fsdbt(shop, "materialize")
    assert refused.returncode == 3
    assert "--empty" in refused.stderr
    read = json.loads(fsdbt(shop, "get", "customer_orders:amount", "customer_id=1", "--json", check=True).stdout)
    assert read["features"]["amount"]["status"] == "PRESENT"


def test_a_new_service_is_served_though_no_rows_are_new(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    yaml = shop / "models/shop.yml"
    yaml.write_text(yaml.read_text().replace("name: churn_model", "name: retention_model"))
    dbt(shop, "parse")
    again = fsdbt(shop, "materialize", check=True)
    assert "Nothing new to publish." in again.stderr
    assert fsdbt(shop, "get", "retention_model", "customer_id=1").returncode == 0


def test_a_new_definition_is_served_only_with_its_rows(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    orders = shop / "models/customer_orders.sql"
    orders.write_text(orders.read_text().replace("select *", "select * replace (amount::varchar || ' EUR' as amount)"))
    failing = shop / "tests/orders_fail.sql"
    failing.parent.mkdir()
    failing.write_text("select * from {{ ref('customer_orders') }}")
    built = fsdbt(shop, "build", "--json")
    assert [one["view"] for one in json.loads(built.stdout)["published"]] == ["customer_profile"]
    read = json.loads(fsdbt(shop, "get", "churn_model", "customer_id=1", "--json", check=True).stdout)
    assert read["features"]["amount"] == {"value": "20.25", "status": "PRESENT", "event_timestamp": "2024-01-03T09:00:00+00:00"}
    failing.unlink()
    fsdbt(shop, "build", check=True)
    read = json.loads(fsdbt(shop, "get", "churn_model", "customer_id=1", "--json", check=True).stdout)
    assert read["features"]["amount"]["value"] == "20.25 EUR"


def test_a_key_given_twice_is_refused(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    twice = fsdbt(shop, "get", "customer_orders:*", "customer_id=1", "customer_id=2")
    assert twice.returncode == 2
    assert "given twice" in twice.stderr


def test_config_says_where_each_setting_came_from(shop: Path) -> None:
    shown = fsdbt(shop, "config", FSDBT_ONLINE_STORE="redis://reader:sesame@cache:6379/0", check=True).stdout
    assert "sesame" not in shown
    assert "FSDBT_ONLINE_STORE" in shown


def test_init_tags_a_model_and_keeps_the_authors_yaml(tmp_path: Path) -> None:
    yaml = "# ours\nmodels:\n  - name: customer_orders  # the orders\n    description: 'Orders.'\n"
    shop = make_shop(tmp_path / "shop", yaml=yaml, orders=ORDERS)
    options = ("--entity", "customer", "--key", "customer_id", "--timestamp", "ordered_at", "--ttl", "30d")
    done = fsdbt(shop, "init", "--model", "customer_orders", *options, check=True)
    text = (shop / "models/shop.yml").read_text()
    assert "# ours" in text
    assert "# the orders" in text
    assert "description: 'Orders.'" in text
    assert "fsdbt build" in done.stderr
    fsdbt(shop, "init", "--model", "customer_profile", "--entity", "customer", "--key", "customer_id", "--timestamp", "since", check=True)
    dbt(shop, "build")
    fsdbt(shop, "materialize", check=True)
    read = json.loads(fsdbt(shop, "get", "customer_profile:*", "customer_id=3", "--json", check=True).stdout)
    assert read["features"]["tier"]["value"] == "new"
    assert json.loads(fsdbt(shop, "show", "customer_orders", "--json", check=True).stdout)["ttl"] == "30 days"


def test_init_changes_nothing_the_second_time(shop: Path, tmp_path: Path) -> None:
    shop = make_shop(tmp_path / "fresh", yaml="models: []\n")
    command = ("init", "--model", "customer_orders", "--entity", "customer", "--key", "customer_id", "--timestamp", "ordered_at")
    fsdbt(shop, *command, check=True)
    before = {path: path.read_text() for path in shop.rglob("*") if path.is_file()}
    again = fsdbt(shop, *command, check=True)
    assert {path: path.read_text() for path in shop.rglob("*") if path.is_file()} == before
    assert "edited" not in again.stderr


def test_plan_says_what_another_run_is_publishing(shop: Path) -> None:
    fsdbt(shop, "materialize", check=True)
    assert json.loads(fsdbt(shop, "plan", "--json", check=True).stdout)["publishing"] == {}
    url = json.loads(fsdbt(shop, "config", "--json", check=True).stdout)
    (online_store,) = [each["value"] for each in url if each["setting"] == "online_store"]
    store = open_store(online_store, shop)
    with leased(store, "shop", "customer_orders"):
        shown = fsdbt(shop, "plan", check=True)
        document = json.loads(fsdbt(shop, "plan", "--json", check=True).stdout)
    store.close()
    assert "customer_orders is being published already, since " in shown.stderr
    assert list(document["publishing"]) == ["customer_orders"]
