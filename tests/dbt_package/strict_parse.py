"""Parses the dbt project in the current folder with dbt's strict check of keys switched on, and prints each complaint as a JSON line.

dbt compares what is written with its JSON schemas only for some warehouses, of which DuckDB is none.
"""

from __future__ import annotations

import json
import sys

from dbt.cli.main import dbtRunner
from dbt.jsonschemas import jsonschemas
from dbt_common.events.base_types import EventLevel, EventMsg


def main() -> int:
    jsonschemas._JSONSCHEMA_SUPPORTED_ADAPTERS.add("duckdb")
    complaints: list[dict[str, str]] = []

    def listen(event: EventMsg) -> None:
        if event.info.level in (EventLevel.WARN.value, EventLevel.ERROR.value):
            complaints.append({"name": event.info.name, "message": event.info.msg})

    result = dbtRunner(callbacks=[listen]).invoke(
        ["--show-all-deprecations", "--quiet", "parse", "--no-partial-parse", "--profiles-dir", "."]
    )
    for complaint in complaints:
        print(json.dumps(complaint))
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main())
