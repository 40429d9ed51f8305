"""What a dbt-spark target says about its Spark, and the settings that every session of ours has whatever the target says.

dbt-spark's method `session` is the one that Arrow travels over: in the process itself, or to a Spark Connect server where
`spark.remote` is among its `server_side_parameters`. Thrift, HTTP and ODBC carry rows of text and run nothing on executors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError

STAGING = "spark.featurestore.staging"
"""A server-side parameter of our own: a folder that driver and executors both reach, for what a session keeps until it closes."""

ALWAYS: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    # What overflows or cannot be read is an error, as everywhere else, and never a null.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    # The queries quote every name and write text as Spark's own parser does.
    "spark.sql.parser.quotedRegexColumnNames": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    # What a session keeps and answers is written to Parquet on the way, exactly, back to the first year.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
    # Times of day, where this Spark has them.
    "spark.sql.timeType.enabled": "true",
}
"""Settings of a session; the queries and the way of their answers rely on them."""

STARTS_WITH: Mapping[str, str] = {
    "spark.app.name": "featurestore",
    "spark.sql.catalogImplementation": "hive",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
"""Settings of a Spark that we start, unless the target says otherwise: as dbt-spark starts it, and quietly."""

_SECRET_WORDS = ("secret", "password", "token", "credential", "access.key", "account.key", "sas.")


@dataclass(frozen=True)
class SparkProfile:
    """A dbt-spark target with the method `session`, checked."""

    directory: Path
    """Where dbt runs: the embedded metastore and relative paths are there."""

    schema: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The `server_side_parameters`. May hold secrets."""

    @property
    def remote(self) -> str | None:
        """The URL of a Spark Connect server, where Spark runs in one."""
        return self.parameters.get("spark.remote")

    @property
    def staging(self) -> str | None:
        """The folder that driver and executors share, where one is named."""
        return self.parameters.get(STAGING)

    def without_secrets(self, text: str) -> str:
        """A message, without any value of the target that may be secret."""
        for name, value in self.parameters.items():
            if value and (is_secret(name) or name == "spark.remote"):
                text = text.replace(value, "…")
        return text


def read_profile(target: Target) -> SparkProfile:
    """Read a dbt-spark target. Raises WarehouseError for a method over which it cannot be used."""
    settings = target.settings
    method = settings.get("method")
    if method != "session":
        raise WarehouseError(
            f"The dbt target {target} reaches Spark by the method {method!r}, which carries no Arrow. Use `method: session`: it runs Spark "
            "in the process, on a cluster as `spark.master` under server_side_parameters says, or on a Spark Connect server as "
            "`spark.remote` does."
        )
    schema = settings.get("schema")
    parameters = settings.get("server_side_parameters") or {}
    if not isinstance(parameters, Mapping):
        raise WarehouseError(f"The dbt target {target} has `server_side_parameters` that are no mapping of names to values.")
    return SparkProfile(target.project_dir, None if schema is None else str(schema), {str(k): _text(v) for k, v in parameters.items()})


def is_secret(name: str) -> bool:
    """Whether the value of a Spark setting of that name may be secret."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
