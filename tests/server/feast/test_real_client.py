"""The client of Feast 0.67, unmodified and in an environment of its own, reads our features by changing one line: where the server is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from environments import environment
from feature_server import FeatureServer
from published_shop import Shop

FEAST = "feast==0.67.*"
PROGRAM = Path(__file__).with_name("client_program.py")


class Guarded(NamedTuple):
    """A server that asks for a key, and a key for the features of one service."""

    url: str
    key: str


@pytest.fixture(scope="module")
def guarded(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    keys_file = tmp_path_factory.mktemp("keys") / "keys.yml"
    create = [
        Path(sys.executable).with_name("fsdbt"),
        "keys",
        "create",
        "--keys-file",
        keys_file,
        "--name",
        "test",
        "--services",
        "everything",
        "--json",
    ]
    key = json.loads(subprocess.run(create, check=True, capture_output=True, text=True).stdout)["key"]
    with FeatureServer(shop.url, "shop", "--keys-file", str(keys_file)) as running:
        yield Guarded(running.base_url, key)


@pytest.fixture(scope="module")
def seen(server: FeatureServer, guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client saw, all cases in one process: to import Feast takes longer than all of them."""
    folder = tmp_path_factory.mktemp("feast")
    # What is imported gets compiled then; the rest of so large a package need not be.
    python = environment("feast-0.67", "--no-compile", FEAST) / "python"
    command = [python, PROGRAM, server.base_url, folder, guarded.url, guarded.key]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def values(answer: Any) -> Any:
    assert "values" in answer, answer
    return answer["values"]


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_entities_are_given_as_rows_or_columns(seen, form):
    assert values(seen[form]) == {"driver_id": [1, 2, 99], "trips": [10, 20, None], "level": ["gold", None, None]}
    assert seen[form]["statuses"] == {
        "driver_id": ["PRESENT"] * 3,
        "trips": ["PRESENT", "PRESENT", "NOT_FOUND"],
        "level": ["PRESENT", "NOT_FOUND", "NOT_FOUND"],
    }


def test_every_type_arrives(seen):
    assert values(seen["every type"]) == {
        "driver_id": [1],
        "trips": [10],
        "small": [-3],
        "conv_rate": [0.1],
        "acc_rate": [0.5],
        "name": ["Ana"],
        "active": [True],
        "photo": ["AP8="],
        "seen": [1767261598],
        "counts": [{"a": 1, "b": 2}],
    }
    assert values(seen["lists"]) == {
        "driver_id": [1],
        "ratings": [[0.5, 4.25]],
        "tags": [["fast", "ünï"]],
        "scores": [[1, 2, 3]],
        "icons": [["AQI=", "/w=="]],
    }
    assert values(seen["not a number"])["conv_rate"] == ["NaN", "Infinity"]


def test_composite_keys_find_their_rows(seen):
    answer = values(seen["composite"])
    assert (answer["fare"], answer["rides_7d"]) == ([9.5, -1e300, None], [4, 0, None])


def test_a_service_is_asked_for_by_its_name_alone(seen):
    assert values(seen["service"]) == {
        "driver_id": [1, 2, 99],
        "trips": [10, 20, None],
        "conv_rate": [0.1, "NaN", None],
        "level": ["gold", None, None],
    }


def test_full_names_tell_views_apart(seen):
    assert values(seen["full names"]) == {"driver_id": [1], "driver_stats__trips": [10], "driver_extra__trips": [5]}


def test_the_views_are_named_on_request(seen):
    assert seen["versions"]["views"] == ["driver_stats"]
    assert seen["rows"]["views"] == []


def test_an_answer_becomes_a_data_frame(seen):
    assert seen["data frame"]["rows"] == [
        {"driver_id": 1, "trips": 10.0, "name": "Ana", "level": "gold"},
        {"driver_id": 2, "trips": 20.0, "name": "", "level": None},
        {"driver_id": 99, "trips": None, "name": None, "level": None},
    ]
    assert seen["data frame"]["columns"] == {"driver_id": "int64", "trips": "float64", "name": "object", "level": "object"}


@pytest.mark.parametrize(
    ("mistake", "raised", "said"),
    [
        ("unknown view", "feast.errors.FeatureViewNotFoundException", "Feature view nope does not exist in project shop"),
        ("unknown service", "feast.errors.FeatureServiceNotFoundException", "Feature service nope does not exist in project shop"),
        ("unknown feature", "feast.errors.FeastObjectNotFoundException", "No feature of 'driver_stats' named 'nope'"),
        ("collision", "feast.errors.FeatureNameCollisionError", "Duplicate features named trips found."),
        ("wrong key", "feast.errors.FeastError", "driver_id='one' is no int64"),
        ("missing key", "feast.errors.FeastError", "Join key 'driver_id' is missing"),
    ],
)
def test_a_mistake_raises_feasts_own_exception(seen, mistake, raised, said):
    assert seen[mistake]["error"] == raised
    assert said in seen[mistake]["message"]


def test_a_body_of_another_shape_is_refused_as_fastapi_refuses_it(seen):
    assert seen["wrong shape"]["error"] == "builtins.RuntimeError"
    assert "422" in seen["wrong shape"]["message"]
    assert "Input should be a valid string" in seen["wrong shape"]["message"]


def test_the_interface_below_reads_one_key(seen):
    """What older clients call, and some paths of this one: it takes the instant from the second result."""
    instant, found = seen["low level"][0]
    assert instant == "2026-01-02T00:00:00+00:00"
    assert found == {"trips": "int64_val: 5\n", "level": 'string_val: "gold"\n'}


def test_a_key_of_ours_goes_where_feast_puts_its_tokens(seen):
    assert values(seen["with a key"]) == {"driver_id": [1], "trips": [10]}


@pytest.mark.parametrize("case", ["beyond the key", "without a key"])
def test_who_may_not_read_gets_feasts_own_exception(seen, case):
    assert seen[case]["error"] == "feast.errors.FeastPermissionError"


def test_rows_are_written_and_read_back(seen):
    assert seen["write"] is None, seen["write"]
    assert values(seen["what was written"]) == {"driver_id": [20, 21], "trips": [200, 210], "level": ["a", None]}
