from __future__ import annotations

import inspect
import re

import pytest

from featurestore import errors
from featurestore.errors import DeclarationError, FeatureStoreError, NotInstalledError, Problem, UnknownNameError, did_you_mean

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, FeatureStoreError)]


def test_the_tree_that_is_drawn_is_the_tree_that_is() -> None:
    drawn: list[tuple[str, str]] = []
    parents: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([\s│├└─]*)(\w+Error)\b", line)
        if found:
            depth = len(found.group(1)) // 4
            parents[depth] = found.group(2)
            drawn.append((found.group(2), parents.get(depth - 1, "Exception")))
    assert sorted(drawn) == sorted((kind.__name__, kind.__base__.__name__) for kind in CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_how_a_command_ends_and_what_a_server_answers(kind: type[FeatureStoreError]) -> None:
    assert 1 <= kind.exit_code <= 125
    assert 400 <= kind.http_status <= 599
    assert (kind.__doc__ or "").strip()


def test_all_problems_of_a_declaration_are_shown() -> None:
    problems = [Problem("a.yml", "orders", "meta.feature_view.ttl", "is wrong."), Problem("b.yml", "visits", "type", "is wrong too.")]
    error = DeclarationError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == (
        "2 problems in the declared features:\n  a.yml: orders: meta.feature_view.ttl: is wrong.\n  b.yml: visits: type: is wrong too."
    )
    assert str(DeclarationError(problems[:1])).startswith("1 problem in")


def test_the_nearest_valid_word_is_offered_or_the_few_there_are() -> None:
    assert did_you_mean("tll", ["ttl", "online"]) == " Did you mean 'ttl'?"
    assert did_you_mean("zzz", ["b", "a"]) == " There is: a, b."
    assert did_you_mean("zzz", []) == ""
    assert did_you_mean("zzz", [str(number) for number in range(100)]) == ""


def test_an_unknown_name_carries_what_was_asked_for() -> None:
    error = UnknownNameError("feature view", "ordres", ["orders"])
    assert (error.kind, error.name, str(error)) == ("feature view", "ordres", "No feature view named 'ordres'. Did you mean 'orders'?")


def test_a_missing_package_comes_with_the_command_that_installs_it() -> None:
    assert str(NotInstalledError("polars", "polars", "to_polars()")) == "to_polars() needs polars. Run: pip install 'featurestore[polars]'"
