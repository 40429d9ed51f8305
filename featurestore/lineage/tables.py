"""Tables as SQL names them, and what belongs to each: by whole names, or by as much of one as the SQL says where that tells it apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as a query names it. Parts that the query leaves out are empty."""

    name: str
    schema: str = ""
    database: str = ""

    def __str__(self) -> str:
        return ".".join(part for part in (self.database, self.schema, self.name) if part)


class ByTable(Generic[Found]):
    """What belongs to each table, found whatever the case of its name. Of several that belong to the same table, the first counts."""

    def __init__(self, pairs: Iterable[tuple[Table, Found]]) -> None:
        self._found: dict[tuple[str, str], list[tuple[str, Found]]] = {}
        for table, found in pairs:
            known, database = self._found.setdefault(_short(table), []), table.database.casefold()
            if database not in (where for where, _ in known):
                known.append((database, found))

    def find(self, table: Table) -> Found | None:
        """What belongs to a table; None where nothing does, or where its database is not said and there are several."""
        database = table.database.casefold()
        known = self._found.get(_short(table), [])
        exact = [found for where, found in known if where == database]
        fitting = exact or [found for where, found in known if not where or not database]
        return fitting[0] if len(fitting) == 1 else None


def _short(table: Table) -> tuple[str, str]:
    return table.schema.casefold(), table.name.casefold()
