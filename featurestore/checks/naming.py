"""What the name of a column or table says where nothing else does: load times, creation times, times at all, and whose key a key is."""

from __future__ import annotations

import re

_LOADED = re.compile(
    r"^_*(?:(?:dbt|etl|elt|dw|dwh|edw|stg|raw|meta|sys|fivetran|airbyte|stitch|dlt|sdc|hevo|rivery|segment|snowpipe|kafka|cdc|ods|dss|batch|file|row|record)_)*"
    r"(?:load|loaded|loading|synced|sync|ingest|ingested|ingestion|extracted|extract|emitted|batched|received|inserted|insert|imported|import|"
    r"refreshed|refresh|updated|replicated|etl|elt|dwh|normalized|partitiontime|partitiondate|uuid_ts|modified)"
    r"(?:_?(?:at|ts|time|timestamp|date|datetime|dt|dttm|on|utc|ntz|tz|time_ms))*$",
    re.IGNORECASE,
)
_ALWAYS_LOADED = re.compile(
    r"^_?(?:fivetran_synced|airbyte_\w+_at|sdc_\w+_at|partitiontime|partitiondate|dbt_updated_(?:at|ts)|dbt_loaded_at|dlt_load_\w+|etl_\w*(?:at|ts|time|date)|"
    r"dw(?:h)?_\w*(?:at|ts|time|date)|load(?:ed)?_\w*(?:at|ts|time|date|timestamp|dt)|ingest\w*_(?:at|ts|time|date|timestamp)|\w*_(?:loaded|ingested|synced)_at)$",
    re.IGNORECASE,
)
_EVENTFUL = re.compile(r"^(?:updated|modified|received|imported|emitted|replicated)_?\w*$", re.IGNORECASE)
_CREATED = re.compile(
    r"(?:^|_)(?:created|creation|signup|signed_up|sign_up|registered|registration|birth|born|opened|opening|joined|founded|launched|enrolled|"
    r"onboarded|first|acquired|installed|activated|dob|start|started|since|issued|hired|hire)(?:_|$)|birthdate|birthday|dateofbirth|createdat",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:^|_)(?:at|ts|time|timestamp|date|datetime|dt|day|week|month|hour|minute|quarter|on|when|instant|from|to|dttm|utc|since|until)$|"
    r"^(?:ts|time|date|day)(?:_|$)|(?:date|time|timestamp)$|At$|^_?valid_|^ds$",
)
_COUNTED = re.compile(
    r"(?:^|_)(?:days|hours|weeks|months|minutes|seconds|years|count|cnt|num|n|avg|sum|total|amount|of|is|has|lead|response|read|watch)(?:_|$)",
    re.IGNORECASE,
)
_SEQUENCE = re.compile(
    r"(?:^|_)(?:id|sk|seq|sequence|number|num|no|nr|version|revision|line|position|pos|index|idx|offset|lsn|rn|row_num|rownum|step|ordinal)$",
    re.IGNORECASE,
)
_KEY_ENDINGS = re.compile(r"_(?:id|key|sk|bk|pk|fk|no|nr|num|number|code|uuid|guid|ref|hash|hk)$", re.IGNORECASE)
_TABLE_WORDS = frozenset(
    [
        "raw",
        "stg",
        "staging",
        "src",
        "base",
        "int",
        "intermediate",
        "dim",
        "dimension",
        "fct",
        "fact",
        "mart",
        "tbl",
        "vw",
        "view",
        "snapshot",
        "snap",
        "hist",
        "history",
        "scd",
        "current",
        "latest",
        "all",
        "clean",
        "cleaned",
        "enriched",
        "daily",
        "log",
        "logs",
        "event",
        "events",
        "data",
        "info",
        "table",
        "source",
        "ods",
        "dwh",
        "prep",
        "features",
        "feature",
        "agg",
    ]
)


def is_load_time(name: str) -> bool:
    """Whether a column of that name says when a row was loaded, not when something happened."""
    if _ALWAYS_LOADED.match(name):
        return True
    return bool(_LOADED.match(name)) and (name.startswith("_") or not _EVENTFUL.match(name))


def is_event_of(name: str, relation: str) -> bool:
    """Whether a relation is about just what a column of that name says, so that it is no loader's: `loaded_at` of `truck_loads`."""
    root = name.casefold().strip("_")[:4]
    return not name.startswith("_") and any(word.startswith(root) for word in re.split(r"[_\W]+", relation.rpartition(".")[2].casefold()))


def is_creation(name: str) -> bool:
    """Whether a column of that name says when its record began: something that does not change any more."""
    return bool(_CREATED.search(name))


def sounds_like_time(name: str) -> bool:
    return bool(_TIME.search(name)) and not _COUNTED.search(name)


def sounds_like_sequence(name: str) -> bool:
    """Whether rows are numbered by a column of that name in the order in which they come."""
    return bool(_SEQUENCE.search(name))


def stem(key: str) -> str:
    """Whose key a key is: `customer` of `customer_id`."""
    return _singular(_KEY_ENDINGS.sub("", key.casefold()).strip("_"))


def is_own_key(key: str, relation: str) -> bool:
    """Whether a relation's rows are told apart by that column, by their names: `order_id` or `id` of `stg_orders`."""
    words = _words(relation)
    if key.casefold() in ("id", "uuid", "guid", "pk", "sk", "key"):
        return True
    return _parts(stem(key)) == words or (bool(words) and _parts(stem(key)) == words[-len(_parts(stem(key))) :])


def is_detail_of(key: str, relation: str) -> bool:
    """Whether a relation's rows are parts of what that key names: `order_items` of `order_id`."""
    words, parts = _words(relation), _parts(stem(key))
    return len(words) > len(parts) and words[: len(parts)] == parts


def _words(relation: str) -> list[str]:
    words = [_singular(word) for word in re.split(r"[_\W]+", relation.casefold()) if word]
    kept = [word for word in words if word not in _TABLE_WORDS and _singular(word) not in _TABLE_WORDS]
    return kept or words


def _parts(name: str) -> list[str]:
    return [_singular(part) for part in name.split("_") if part]


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
