"""Renders the Jinja that dbt allows in `profiles.yml` and `dbt_project.yml`: env_var, var, target, and the as_… filters.

As in dbt, a rendered value is text unless a filter says otherwise: `"{{ env_var('PORT') | as_number }}"`.
"""

from __future__ import annotations

import os
from ast import literal_eval
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.nativetypes import NativeEnvironment

_MISSING = object()


def render(value: Any, context: Mapping[str, object] | None = None, variables: Mapping[str, Any] | None = None) -> Any:
    """`value` with the Jinja in all its texts rendered, down through mappings and lists.

    Args:
        context: names that the Jinja may use besides `env_var` and `var`, such as `target`.
        variables: what `var('name')` finds.

    Raises ValueError saying what could not be rendered; its message holds neither the text nor a rendered value, which may be secret.
    """
    if isinstance(value, str):
        return _render_text(value, context or {}, variables or {})
    if isinstance(value, Mapping):
        return {key: render(item, context, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, context, variables) for item in value]
    return value


def _render_text(text: str, context: Mapping[str, object], variables: Mapping[str, Any]) -> Any:
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    from jinja2 import TemplateError, Undefined, UndefinedError

    def var(name: str, default: Any = _MISSING) -> Any:
        found = variables.get(name, default)
        if found is _MISSING:
            raise ValueError(f"the variable {name!r} is not set")
        return found

    try:
        template = _environment().from_string(text)
        names = template.new_context({**context, "env_var": _env_var, "var": var})
        rendered = _concatenate(template.root_render_func(names))
        # A lone name that nobody defined comes back as it is; only using it complains.
        return str(rendered) if isinstance(rendered, Undefined) else rendered
    except (UndefinedError, TypeError) as error:
        raise ValueError(f"the Jinja cannot be rendered: {error}") from None
    except TemplateError as error:
        raise ValueError(f"the Jinja cannot be read: {error}") from None


def _env_var(name: str, default: Any = _MISSING) -> Any:
    found = os.environ.get(name, default)
    if found is _MISSING:
        raise ValueError(f"the environment variable {name} is not set")
    return found


class _Marked(str):
    """A text that a filter said how to read."""


class _AsText(_Marked): ...


class _AsNative(_Marked): ...


class _AsBool(_Marked): ...


class _AsNumber(_Marked): ...


def _concatenate(values: Iterable[Any]) -> Any:
    """One value stays what it is, or becomes what its filter says; several are joined to a text."""
    parts = iter(values)
    head = list(islice(parts, 2))
    if not head:
        return ""
    if len(head) > 1:
        return "".join(str(part) for part in chain(head, parts))
    only = head[0]
    if isinstance(only, _AsText) or not isinstance(only, _Marked):
        return str(only) if isinstance(only, str) else only
    try:
        read = literal_eval(only)
    except (ValueError, SyntaxError, MemoryError):
        read = str(only)
    # dbt takes `true` as YAML does; Python's literals are spelled with a capital.
    if isinstance(only, _AsBool | _AsNative) and only.lower() in ("true", "false"):
        read = only.lower() == "true"
    if isinstance(only, _AsBool) and not isinstance(read, bool):
        raise ValueError("as_bool was given something else than true or false")
    if isinstance(only, _AsNumber) and (isinstance(read, bool) or not isinstance(read, int | float)):
        raise ValueError("as_number was given something else than a number")
    return read


@lru_cache(maxsize=1)
def _environment() -> NativeEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.nativetypes import NativeEnvironment

    environment = NativeEnvironment(undefined=StrictUndefined, extensions=["jinja2.ext.do"])
    environment.filters.update(as_text=_AsText, as_native=_AsNative, as_bool=_AsBool, as_number=_AsNumber)
    return environment
