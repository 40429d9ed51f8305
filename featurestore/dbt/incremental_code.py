"""The SQL of an incremental model as it runs when its table is already there, rendered without dbt and without a warehouse.

What dbt leaves in the manifest is mostly the SQL of the first run: `is_incremental()` was false. The model's own Jinja is rendered here
with stand-ins for what dbt would bring: enough to read the filter, and not to run it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True)
class Rendered:
    """The rendered SQL."""

    THIS: ClassVar[str] = "__this__"
    """What the model's own table is called in it."""

    sql: str
    queried: Mapping[str, str] = field(default_factory=dict)
    """The queries that it asks while it is rendered, by the text that stands for their answers."""


def incremental_code(raw: str) -> Rendered | None:
    """Render a model's text as of a run that adds to its table. None where that needs more than stand-ins."""
    from jinja2 import TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    queried: dict[str, str] = {}
    environment = SandboxedEnvironment(undefined=_stand_in(), extensions=["jinja2.ext.do"])

    def query(sql: Any, *_: Any, **__: Any) -> _Answer:
        name = f"__answer_{len(queried)}__"
        queried[name] = str(sql)
        return _Answer(name)

    known: dict[str, Any] = {
        "is_incremental": lambda: True,
        "this": _Relation(Rendered.THIS),
        "ref": lambda *names, **_: _Relation(str(names[-1])),
        "source": lambda *names, **_: _Relation(str(names[-1])),
        "config": lambda *_, **__: "",
        "var": lambda name, default="0": default,
        "env_var": lambda name, default="": default,
        "run_query": query,
        "execute": True,
        "target": _Relation("target"),
        "dbt_utils": _Utils(query),
    }
    try:
        return Rendered(environment.from_string(raw).render(known), queried)
    except (TemplateError, TypeError, ValueError, AttributeError):
        return None


class _Relation(str):
    """A table's name, which is also what its parts are asked of."""

    @property
    def identifier(self) -> str:
        return str(self)

    schema = database = include = ""


class _Answer(str):
    """What a query answered: text wherever it is looked into."""

    @property
    def columns(self) -> _Answer:
        return self

    @property
    def rows(self) -> _Answer:
        return self

    def values(self) -> _Answer:
        return self

    def __getitem__(self, key: Any) -> _Answer:
        return self


class _Utils:
    """dbt_utils, as far as filters use it."""

    def __init__(self, query: Any) -> None:
        self.get_single_value = query

    def star(self, *_: Any, **__: Any) -> str:
        return "*"

    def generate_surrogate_key(self, *_: Any, **__: Any) -> str:
        return "'key'"


def _stand_in() -> type:
    from jinja2 import ChainableUndefined

    class StandIn(ChainableUndefined):
        """Any other macro: a value."""

        def __call__(self, *_: Any, **__: Any) -> Any:
            return "1"

        def __str__(self) -> str:
            return "1"

    return StandIn
