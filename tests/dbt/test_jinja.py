from __future__ import annotations

from typing import Any

import pytest

from featurestore.dbt.jinja import render


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDBT_TEST_PORT", "5432")
    monkeypatch.setenv("FSDBT_TEST_ON", "true")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ env_var('FSDBT_TEST_PORT') }}", "5432"),
        ("{{ env_var('FSDBT_TEST_PORT') | as_number }}", 5432),
        ("{{ env_var('FSDBT_TEST_PORT') | as_native }}", 5432),
        ("{{ env_var('FSDBT_TEST_PORT') | int + 1 }}", 5433),
        ("{{ env_var('FSDBT_TEST_ON') | as_bool }}", True),
        ("{{ env_var('FSDBT_TEST_ON') | as_text }}", "true"),
        ("{{ '0123' }}", "0123"),
        ("port {{ env_var('FSDBT_TEST_PORT') | as_number }}!", "port 5432!"),
        ("{{ env_var('FSDBT_TEST_NOT_SET', 'else') }}", "else"),
        ("{{ var('region') }}", "eu"),
        ("{{ var('zone', 'a') }}", "a"),
        ("{{ target.name }}", "prod"),
        ("{% if target.name == 'prod' %}yes{% else %}no{% endif %}", "yes"),
        ({"a": ["{{ 1 | string }}", 3, None], "b": True}, {"a": ["1", 3, None], "b": True}),
    ],
)
def test_it_renders_as_dbt_does(text: Any, value: object) -> None:
    rendered = render(text, {"target": {"name": "prod"}}, {"region": "eu"})
    assert rendered == value
    assert type(rendered) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ env_var('FSDBT_TEST_NOT_SET') }}", "the environment variable FSDBT_TEST_NOT_SET is not set"),
        ("{{ var('zone') }}", "the variable 'zone' is not set"),
        ("{{ nobody }}", "the Jinja cannot be rendered: 'nobody' is undefined"),
        ("{{ 'secret' + 1 }}", "the Jinja cannot be rendered"),
        ("secret {{ ", "the Jinja cannot be read"),
        ("{{ 'secret' | as_number }}", "as_number was given something else than a number"),
        ("{{ 'secret' | as_bool }}", "as_bool was given something else than true or false"),
    ],
)
def test_what_cannot_be_rendered_says_why_and_shows_no_value(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"the |as_") as caught:
        render(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
