"""`ref('…')` and `source('…', '…')` as a person writes them outside of a model: in YAML, on the command line, for a spine."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = r"(?P<{0}_quote>['\"])(?P<{0}>[\w.]+)(?P={0}_quote)"
_REF = re.compile(
    rf"\s*ref\(\s*{_QUOTED.format('model')}\s*(?:,\s*(?:v|version)\s*=\s*(?P<quote>['\"]?)(?P<version>\w+(?:\.\w+)*)(?P=quote)\s*)?\)\s*"
)
_SOURCE = re.compile(rf"\s*source\(\s*{_QUOTED.format('source')}\s*,\s*{_QUOTED.format('table')}\s*\)\s*")


@dataclass(frozen=True, slots=True)
class ModelReference:
    """`ref('orders')`, or `ref('orders', v=2)` of a model that has versions."""

    model: str
    version: str | None = None

    def __str__(self) -> str:
        return f"ref('{self.model}'{'' if self.version is None else f', v={self.version}'})"


@dataclass(frozen=True, slots=True)
class SourceReference:
    """`source('app', 'orders')`."""

    source: str
    table: str

    def __str__(self) -> str:
        return f"source('{self.source}', '{self.table}')"


def parse_table_reference(text: str) -> ModelReference | SourceReference | None:
    """What a text refers to; None where it is no reference."""
    if found := _REF.fullmatch(text):
        return ModelReference(found["model"], found["version"])
    if found := _SOURCE.fullmatch(text):
        return SourceReference(found["source"], found["table"])
    return None
