"""An instant with a zone loses it, or a text is read as an instant in the zone of whoever asks.

Why it leaks: `cast(ts as timestamp)` of a zoned column, its date, and `cast(text as timestamptz)` of a text without one, give what the
session's time zone makes of it. dbt in production, a notebook, and the feature server have other ones: the same row has another time in
each, and a day begins hours early or late.

How to mend: say the zone. `ts at time zone 'UTC'`, `convert_timezone('UTC', ts)`, `timestamp(text, 'UTC')`, `date(ts, 'UTC')`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.functions import function_name
from featurestore.checks.origins import Leaf, Origins
from featurestore.checks.parts import Part, Role
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Select
from featurestore.registry.value_types import DateType, StringType, TimestampType, ValueType

RULE = Rule("naive_cast", "A time depends on the session's time zone", Severity.ERROR)

_ALWAYS_UTC = frozenset({"bigquery"})
_ZONED = ("timestamptz", "timestampltz")
_NAIVE = (
    "timestamp",
    "timestampntz",
    "datetime",
    "datetime2",
    "smalldatetime",
    "timestamp_s",
    "timestamp_ms",
    "timestamp_ns",
    "datetime64",
)
_SESSION_TIMESTAMPS = frozenset({"spark", "databricks", "hive"})
"""Dialects whose TIMESTAMP is an instant that is read and written in the session's zone."""

_PARSES_IN_SESSION = frozenset({"spark", "databricks", "hive", "postgres", "redshift"})
"""Dialects that read a text by a format as an instant of the session's zone."""

_TEXT_TO_INSTANT = frozenset(
    {"to_timestamp_ltz", "to_timestamp_tz", "parsedatetime", "parsedatetimebesteffort", "todatetime", "todatetime64"}
)


def find(model: ModelInView, /) -> Iterator[Spot]:
    for part in model.parts:
        values, stamped = part.used_as(Role.VALUE), part.used_as(Role.TIMESTAMP)
        if not values and not stamped:
            continue
        for node in part.nodes():
            if _depends_on_session(model, part, node):
                yield Spot(
                    node,
                    frozenset() if stamped else values,
                    "What it says depends on the time zone of the session that asks.",
                    "Say the zone: `at time zone 'UTC'`, or what this warehouse has for it.",
                )


def _depends_on_session(model: ModelInView, part: Part, node: exp.Expr) -> bool:
    dialect, origins, unique_id = model.model.dialect, model.project.origins, model.model.node.unique_id
    if dialect in _ALWAYS_UTC:
        return False
    of, to = _conversion(node, dialect)
    if of is None:
        return False
    if isinstance(of, exp.Literal):
        return False
    found = kind_of(origins, unique_id, part.select, of, dialect)
    if to == "zoned":
        return found == "text" or (found == "naive" and not isinstance(node.parent, exp.AtTimeZone))
    return found == "zoned" and dialect not in _SESSION_TIMESTAMPS


def _conversion(node: exp.Expr, dialect: str) -> tuple[exp.Expr | None, str]:
    """What a node converts, and to what."""
    if isinstance(node, exp.Cast):
        kind = _kind_of_type(node.to, dialect)
        return (node.this, kind) if kind in ("zoned", "naive", "date") else (None, "")
    if isinstance(node, exp.Convert) and isinstance(node.this, exp.DataType):
        kind = _kind_of_type(node.this, dialect)
        return (node.expression, kind) if kind in ("zoned", "naive", "date") else (None, "")
    if isinstance(node, exp.TsOrDsToDate) or (isinstance(node, exp.Date) and node.args.get("zone") is None):
        return (node.this, "date") if node.this is not None else (None, "")
    if isinstance(node, exp.StrToTime | exp.StrToUnix) and dialect in _PARSES_IN_SESSION and not _says_zone(node.args.get("format")):
        return node.this, "zoned"
    name = function_name(node)
    if name in _TEXT_TO_INSTANT and len(node.expressions) == 1 and not (name in ("to_timestamp_tz",) and dialect != "snowflake"):
        return node.expressions[0], "zoned"
    if name == "to_timestamp_ntz" and len(node.expressions) == 1:
        return node.expressions[0], "naive"
    return None, ""


def _says_zone(form: object) -> bool:
    """Whether a format has the offset or the zone in it."""
    written = form.name if isinstance(form, exp.Expr) else ""
    return any(part in written for part in ("%z", "%Z", "X", "VV", "TZ", "OF"))


def _kind_of_type(kind: object, dialect: str) -> str:
    if not isinstance(kind, exp.DataType):
        return ""
    if kind.is_type(*_ZONED):
        return "zoned"
    if kind.is_type("date", "date32"):
        return "date"
    if str(getattr(kind.this, "value", kind.this)).casefold() in _NAIVE:
        return "zoned" if dialect in _SESSION_TIMESTAMPS and kind.is_type("timestamp") else "naive"
    return "text" if kind.is_type(*exp.DataType.TEXT_TYPES) else "other"


def kind_of(origins: Origins, model: str, select: Select, expression: exp.Expr, dialect: str) -> str:
    """Whether an expression is `zoned`, `naive`, a `date` or `text`; empty where that cannot be told."""
    node = expression.unnest()
    if isinstance(node, exp.Cast):
        return _kind_of_type(node.to, dialect)
    if isinstance(node, exp.AtTimeZone):
        inner = kind_of(origins, model, select, node.this, dialect)
        return "naive" if inner == "zoned" else "zoned" if inner in ("naive", "date") else ""
    if isinstance(node, exp.ConvertTimezone | exp.FromTimeZone):
        return "told"
    if isinstance(
        node,
        exp.TimestampTrunc | exp.DateTrunc | exp.Max | exp.Min | exp.Coalesce | exp.Lag | exp.Lead | exp.Window | exp.Greatest | exp.Least,
    ):
        return kind_of(origins, model, select, node.this, dialect) if isinstance(node.this, exp.Expr) else ""
    if isinstance(node, exp.JSONExtractScalar | exp.Substring | exp.Concat | exp.Replace | exp.Trim):
        return "text"
    if not isinstance(node, exp.Column):
        return ""
    found = {_kind_of_input(origins, model, each, dialect) for each in select.inputs_of(node)}
    return found.pop() if len(found) == 1 else ""


def _kind_of_input(origins: Origins, model: str, found: object, dialect: str) -> str:
    at = origins.above(model, found)  # type: ignore[arg-type]
    if at is None:
        return ""
    if isinstance(at, Leaf):
        return _kind_of_value(origins.type_of(at), dialect)
    where, projection = at
    if projection.expression is not None:
        return kind_of(origins, where, projection.select, projection.expression, dialect)
    kinds = {_kind_of_input(origins, where, each, dialect) for each in projection.passed_on}
    return kinds.pop() if len(kinds) == 1 else ""


def _kind_of_value(known: ValueType | None, dialect: str) -> str:
    del dialect
    if isinstance(known, TimestampType):
        return "zoned" if known.utc else "naive"
    if isinstance(known, DateType):
        return "date"
    return "text" if isinstance(known, StringType) else ""
