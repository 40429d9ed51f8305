"""Which functions of SQL read the clock and which answer otherwise each time, whatever a dialect calls them."""

from __future__ import annotations

from sqlglot import exp

_CLOCKS = (
    exp.CurrentTimestamp,
    exp.CurrentTimestampLTZ,
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.Localtime,
    exp.Localtimestamp,
    exp.UtcDate,
    exp.UtcTime,
    exp.UtcTimestamp,
)
_CLOCK_NAMES = frozenset(
    [
        "now",
        "today",
        "yesterday",
        "now64",
        "nowinblock",
        "current_timestamp",
        "current_date",
        "current_time",
        "currenttimestamp",
        "currentdate",
        "get_current_timestamp",
        "get_current_time",
        "getdate",
        "getutcdate",
        "sysdate",
        "systimestamp",
        "sysdatetime",
        "sysutcdatetime",
        "sysdatetimeoffset",
        "systime",
        "clock_timestamp",
        "statement_timestamp",
        "transaction_timestamp",
        "timeofday",
        "curdate",
        "curtime",
        "utctimestamp",
        "utc_timestamp",
        "current_datetime",
    ]
)
_SPOKEN = frozenset({"now", "today", "tomorrow", "yesterday"})
_RANDOM = (exp.Rand, exp.Randn, exp.Randstr, exp.Uniform, exp.Uuid, exp.Shuffle)
_RANDOM_NAMES = frozenset(
    [
        "random",
        "rand",
        "rand32",
        "rand64",
        "randcanonical",
        "randconstant",
        "randuniform",
        "randnormal",
        "setseed",
        "uuid",
        "uuid_string",
        "newid",
        "newsequentialid",
        "gen_random_uuid",
        "generate_uuid",
        "generateuuidv4",
        "generateuuidv7",
        "uuidv4",
        "uuidv7",
        "uuid_generate_v4",
        "uuid_generate_v1",
        "normal",
        "randn",
        "uniform",
        "zipf",
        "random_normal",
        "monotonically_increasing_id",
        "shuffle",
        "array_shuffle",
        "arrayshuffle",
        "array_sample",
    ]
)

_DIFFERENCES = (exp.DateDiff, exp.DatetimeDiff, exp.TimestampDiff, exp.TsOrDsDiff)
_SINCE_1970 = (exp.TimeToUnix, exp.StrToUnix, exp.UnixDate, exp.UnixSeconds, exp.UnixMillis, exp.UnixMicros)
_SINCE_1970_NAMES = frozenset(["tounixtimestamp", "tounixtimestamp64milli", "tounixtimestamp64micro", "epoch_ms", "epoch_us", "epoch_ns"])


def function_name(node: exp.Expr) -> str:
    """What the SQL calls a function that sqlglot has no class for, folded; empty for any other node."""
    if isinstance(node, exp.AnonymousAggFunc | exp.CombinedAggFunc | exp.ParameterizedAgg | exp.Anonymous):
        return node.name.casefold()
    return ""


def reads_clock(node: exp.Expr) -> bool:
    """Whether this very node answers what time it is."""
    if isinstance(node, _CLOCKS) or function_name(node) in _CLOCK_NAMES:
        return True
    if isinstance(node, exp.Column) and not node.table and node.name.casefold() in ("sysdate", "systimestamp"):
        return not node.this.quoted
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.is_type(*exp.DataType.TEMPORAL_TYPES):
        # `'now'::timestamp` and `date 'today'`.
        return node.this.is_string and node.this.name.strip().casefold() in _SPOKEN
    # `age(x)` counts from today on; `unix_timestamp()` counts to now.
    return (function_name(node) == "age" and len(node.expressions) == 1) or (
        function_name(node) in ("unix_timestamp", "unixepoch") and not node.expressions
    )


def is_random(node: exp.Expr) -> bool:
    """Whether this very node answers otherwise each time it is asked."""
    if isinstance(node, exp.Uniform | exp.Randstr):
        # Snowflake's take their randomness from an argument, which is found by itself.
        return False
    return isinstance(node, _RANDOM) or function_name(node) in _RANDOM_NAMES


def counted_instant(node: exp.Expr) -> exp.Expr | None:
    """The instant up to which a function counts units of time from a fixed one; None where it does not."""
    found: object = None
    if isinstance(node, _DIFFERENCES):
        found = None if node.expression.find(exp.Column) is not None else node.this
    elif isinstance(node, exp.Extract):
        found = node.expression if node.name.casefold().startswith("epoch") else None
    elif isinstance(node, _SINCE_1970):
        found = node.this
    elif function_name(node) in _SINCE_1970_NAMES and node.expressions:
        found = node.expressions[0]
    return found if isinstance(found, exp.Expr) else None
