"""What people may write around the macro, and what they are told when it cannot be: in the project in training_sets/.

A model in models/errors/ must fail, all others must be built.
"""

from __future__ import annotations

import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_command import REPOSITORY, DbtRun, copy_project, run_dbt

PROJECT = Path(__file__).parent / "training_sets"
PACKAGES = f"packages:\n  - local: {REPOSITORY}\n  - local: partner\n"
NINE, BEFORE_NINE, TEN = datetime(2024, 5, 1, 9), datetime(2024, 5, 2, 8, 59, 59, 999999), datetime(2024, 5, 2, 10)
LABELS = [(1, NINE), (1, BEFORE_NINE), (1, TEN), (1, None), (1, None), (2, datetime(2024, 5, 20)), (None, datetime(2024, 5, 2, 9))]

pytestmark = pytest.mark.xdist_group("dbt_package")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_project(PROJECT, tmp_path_factory.mktemp("training_sets") / "shop", PACKAGES)
    run_dbt(project, "deps")
    return project


@pytest.fixture(scope="module")
def built(project: Path) -> DbtRun:
    return run_dbt(project, "build", "--exclude", "tag:by_batch", check=False)


def rows(project: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(project / "shop.duckdb", read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return connection.sql(query).fetchall()


def message(built: DbtRun, name: str) -> str:
    """What dbt says about a model that failed."""
    result = next(result for unique_id, result in built.results.items() if unique_id.split(".")[-1] == name)
    assert result["status"] == "error"
    return str(result["message"])


def test_a_list_names_views_versions_snapshots_and_views_of_packages(built: DbtRun) -> None:
    query = """
        select customer_id, event_timestamp, customer_orders__spent_7d, "customer_profile.v1__segment", plan__plan, partner_rating__rating
        from by_list order by customer_id, event_timestamp
    """
    known = {(1, NINE): (10, "new", "gold", 4.5), (1, BEFORE_NINE): (10, "new", "gold", 4.5), (1, TEN): (30, "new", "gold", 4.5)}
    assert rows(built.project, query) == [(*label, *known.get(label, (None,) * 4)) for label in LABELS]


def test_a_service_names_them_too(built: DbtRun) -> None:
    query = """
        select
            customer_id, event_timestamp, customer_orders__orders_7d, "customer_profile.v2__segment", "customer_profile.v2__visits",
            "customer_profile.v1__segment", plan__plan, partner_rating__rating
        from by_service order by customer_id, event_timestamp
    """
    known = {
        (1, NINE): (1, "loyal", 7, "new", "gold", 4.5),
        (1, BEFORE_NINE): (1, "loyal", 7, "new", "gold", 4.5),
        (1, TEN): (2, "loyal", 7, "new", "gold", 4.5),
    }
    assert rows(built.project, query) == [(*label, *known.get(label, (None,) * 6)) for label in LABELS]


def test_lineage_holds_every_view_of_a_list(built: DbtRun) -> None:
    assert {*built.manifest["nodes"]["model.shop.by_list"]["depends_on"]["nodes"]} == {
        "model.shop.labels",
        "model.shop.customer_orders",
        "model.shop.customer_profile.v1",
        "snapshot.shop.plan",
        "model.partner.partner_rating",
    }


def test_it_stands_within_a_larger_query_over_a_spine_that_is_no_table(built: DbtRun) -> None:
    """Its zoned instants are those they are, whatever zone the session has."""
    found = rows(built.project, "select customer_id, asked_at, orders from in_a_larger_query order by customer_id, asked_at")
    assert [(key, moment.astimezone(timezone.utc).replace(tzinfo=None), orders) for key, moment, orders in found] == [
        (1, BEFORE_NINE, 1),
        (1, TEN, 2),
        (None, datetime(2024, 5, 2, 9), 0),
    ]


def test_a_batch_sees_the_history_before_it(built: DbtRun, tmp_path: Path) -> None:
    """dbt shows a batch the rows of its own day; that is right for the spine, and not for what was known before."""
    project = shutil.copytree(built.project, tmp_path / "shop", symlinks=True)
    run_dbt(project, "run", "--select", "tag:by_batch", "--event-time-start", "2024-05-01", "--event-time-end", "2024-05-03")
    found = rows(project, "select customer_id, event_timestamp, orders_7d from by_the_day order by customer_id, event_timestamp")
    assert found == [(1, NINE, 1), (1, BEFORE_NINE, 1), (1, TEN, 2), (None, datetime(2024, 5, 2, 9), None)]


def test_an_empty_run_builds_the_columns_only(built: DbtRun, tmp_path: Path) -> None:
    project = shutil.copytree(built.project, tmp_path / "shop", symlinks=True)
    run_dbt(project, "run", "--empty", "--select", "by_list", "in_a_larger_query")
    assert rows(project, "select count(*) from by_list") == [(0,)]
    assert rows(project, "select column_name from (describe by_list)") == rows(built.project, "select column_name from (describe by_list)")


def test_it_compiles_before_anything_is_built(project: Path, tmp_path: Path) -> None:
    fresh = shutil.copytree(project, tmp_path / "shop", symlinks=True, ignore=shutil.ignore_patterns("shop.duckdb*", "target"))
    compiled = run_dbt(fresh, "compile", "--select", "by_the_hour")
    assert '"customer_orders_answer"."orders_7d"' in compiled.output


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "unknown_service",
            "There is no feature service 'chrun_model', an exposure with meta.feature_service. Did you mean 'churn_model'?",
        ),
        ("unknown_feature", "Feature view 'customer_orders' has no feature 'order_7d'. Did you mean 'orders_7d'?"),
        ("on_demand", "'customer_orders:basket_share' is worked out on demand, and no macro can read its expression."),
        ("no_feature_view", "There is no feature view 'clicks'. There is: customer_orders, "),
        ("no_reference", "'customer_orders' is no feature reference. Write it like 'customer_orders:orders_7d'"),
        ("two_of_one_name", "Two columns would be called 'segment', one of them a feature of 'customer_profile.v1'."),
        ("a_spine_with_the_name_of_a_feature", "Two columns would be called 'orders_7d', one of them a feature of 'customer_orders'."),
        ("neither_service_nor_features", "Ask for either a service, like service='churn_model', or features"),
        ("unknown_timestamp", "The spine labels has no column 'event_time'. Say event_timestamp='…' if it has another name. Did you mean"),
        (
            "a_spine_without_the_key",
            "The spine clicks_by_page has no column 'customer_id'. Feature view 'customer_orders' is joined by it.",
        ),
        ("a_spine_of_text", "`spine` is the relation whose rows are asked about, like spine=ref('departures')"),
        ("a_spine_of_unknown_type", "The type of 'event_timestamp' of the spine '__dbt__cte__untyped_labels' is not known"),
        ("view_with_an_unknown_column", "'no_such_column' has no column 'orderd_at'. Did you mean 'ordered_at'?"),
        ("window_with_an_unknown_function", "'no_such_function' has an aggregation by 'medain', and there is no such function."),
        ("a_label_sees_the_order_before_it", "dbt shows no feature views to a unit test"),
    ],
)
def test_the_error_says_what_to_write(model: str, words: str, built: DbtRun) -> None:
    assert words in message(built, model)


def test_a_service_whose_models_dbt_does_not_know_of_is_an_error_that_gives_the_lines_to_paste(built: DbtRun, tmp_path: Path) -> None:
    told = message(built, "service_without_its_models")
    lines = [line.strip() for line in told.splitlines() if line.strip().startswith("-- depends_on")]
    assert lines == [
        "-- depends_on: {{ ref('customer_orders') }}",
        "-- depends_on: {{ ref('customer_profile', version='2') }}",
        "-- depends_on: {{ ref('customer_profile', version='1') }}",
        "-- depends_on: {{ ref('plan') }}",
        "-- depends_on: {{ ref('partner', 'partner_rating') }}",
    ]
    project = shutil.copytree(built.project, tmp_path / "shop", symlinks=True)
    pasted = project / "models" / "errors" / "service_without_its_models.sql"
    pasted.write_text("\n".join([*lines, pasted.read_text(encoding="utf-8")]), encoding="utf-8")
    run_dbt(project, "run", "--select", "service_without_its_models")


def test_nothing_else_goes_wrong(built: DbtRun) -> None:
    failed = {unique_id.split(".")[-1] for unique_id, result in built.results.items() if result["status"] in ("error", "skipped")}
    assert failed == {*(path.stem for path in (PROJECT / "models" / "errors").glob("*.sql")), "a_label_sees_the_order_before_it"}
    assert " and 0 warnings:" in built.output
