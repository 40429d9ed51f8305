"""Which entity keys an audit asks about.

All of them; or a sample that holds those where things go wrong: the ones with the newest and with the oldest rows (among these the
expired ones), any others, those that are online (among these the ones that left the view), and some that were never seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from hashlib import blake2b
from urllib.parse import unquote

import pyarrow as pa
from sqlglot import exp

from featurestore.arrow import arrow_type
from featurestore.codec.keys import KeySpace, encode_keys, letter
from featurestore.errors import EntityKeyError
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import BooleanType, BytesType, DateType, DecimalType, IntegerType, StringType, TimestampType
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import ascending, column, descending, named, not_null, relation, table, unused, with_ctes
from featurestore.sql.instants import instant_literal, timestamp_type
from featurestore.timestamps import from_micros

KEYS_AT_ONCE = 10_000
"""Keys of one spine from the online store, so that memory does not grow with it."""

NEVER_SEEN = 10


def spine_of_warehouse(view: FeatureView, at: datetime, asked_at: str, dialect: str, sample: int | None) -> exp.Select:
    """A spine of the entity keys of a view, each once, at one instant.

    Args:
        asked_at: the name of the spine's timestamp column.
        sample: how many keys at most: a third with the newest rows, a third with the oldest, a third at random. None: all of them.
    """
    facts = dialect_named(dialect)
    names = [key.name for key in view.join_keys]
    whole = [not_null(column(key.stored_name)) for key in view.join_keys]
    newest = named(exp.Max(this=column(view.event_timestamp.stored_name)), unused("newest_row", names))
    stored = [column(key.stored_name) for key in view.join_keys]
    keys = exp.select(*(named(column(key.stored_name), key.name) for key in view.join_keys), newest).from_(relation(view.relation))
    ctes: list[tuple[str, exp.Query]] = [("entity_keys", keys.where(*whole).group_by(*stored))]
    if sample is not None:
        third = max(1, sample // 3)
        by = column(newest.alias)
        for name, order in (("newest", descending(by)), ("oldest", ascending(by.copy())), ("others", ascending(exp.Rand()))):
            ctes.append((name, exp.select(*map(column, names)).from_(table("entity_keys")).order_by(order).limit(third)))
        parts = [exp.select(*map(column, names)).from_(table(name)) for name in ("newest", "oldest", "others")]
        ctes.append(("chosen", exp.union(*parts, distinct=True)))
    instant = named(exp.cast(instant_literal(at, facts), timestamp_type(facts)), asked_at)
    return with_ctes(exp.select(*map(column, names), instant).from_(table("entity_keys" if sample is None else "chosen")), ctes)


class OnlineKeys:
    """The entity keys of a view that are in the online store.

    Args:
        scanned: the full keys, as `OnlineStore.scan` gives them.
        sample: how many at most: those whose BLAKE2b digests are the least. So each key is as likely as any other, in whatever order a
            store gives them and however often, and the next sample of the same keys is the same. All keys are gone over for it. It is
            the bottom-k sample of Cohen and Kaplan, 2007. None: all of them.
    """

    def __init__(self, view: FeatureView, space: KeySpace, scanned: Iterator[list[bytes]], sample: int | None) -> None:
        self._view, self._space, self._scanned, self._sample = view, space, scanned, sample
        self.unreadable: list[str] = []
        """Keys, once all tables were read, that no entity key of the view is spelled as: nobody ever reads their rows."""

    def tables(self) -> Iterator[pa.Table]:
        """Tables of bounded size, one column per join key. Some keys may come twice while rows are written and removed."""
        scanned = self._scanned if self._sample is None else self._chosen(self._sample)
        for keys in self._parts(scanned):
            yield self._table(keys)

    def _chosen(self, most: int) -> Iterator[list[bytes]]:
        kept: dict[bytes, bytes] = {}
        for keys in self._scanned:
            kept.update((blake2b(key, digest_size=16).digest(), key) for key in keys)
            if len(kept) > 2 * most + KEYS_AT_ONCE:
                kept = dict(sorted(kept.items())[:most])
        chosen = [key for _, key in sorted(kept.items())[:most]]
        yield from (chosen[first : first + KEYS_AT_ONCE] for first in range(0, len(chosen), KEYS_AT_ONCE))

    def _parts(self, scanned: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
        waiting: dict[bytes, None] = {}
        for keys in scanned:
            waiting.update(dict.fromkeys(keys))
            if len(waiting) >= KEYS_AT_ONCE:
                yield list(waiting)
                waiting = {}
        if waiting:
            yield list(waiting)

    def _table(self, keys: Sequence[bytes]) -> pa.Table:
        start, end = len(self._space.prefix), len(self._space.suffix)
        rows: list[list[object]] = []
        for key in keys:
            text = key[start : len(key) - end].decode(errors="replace")
            try:
                values = key_values(self._view.join_keys, text)
                spelled = encode_keys(self._view.join_keys, [[value] for value in values])
            except EntityKeyError:
                spelled = []
            if spelled == [text]:
                rows.append(values)
            else:
                self.unreadable.append(key.decode(errors="replace"))
        columns = zip(*rows, strict=True) if rows else ([] for _ in self._view.join_keys)
        types = ((key.name, arrow_type(key.value_type)) for key in self._view.join_keys)
        return pa.table({name: pa.array(list(values), kind) for (name, kind), values in zip(types, columns, strict=True)})


def keys_never_seen(view: FeatureView) -> pa.Table:
    """Entity keys that hardly any view has."""
    of = {key: [_unlikely(key, number) for number in range(NEVER_SEEN)] for key in view.join_keys}
    return pa.table({key.name: pa.array(values, arrow_type(key.value_type)) for key, values in of.items()})


def key_values(join_keys: Sequence[Column], entity_key: str) -> list[object]:
    """The values that an entity key was spelled from: the inverse of `codec.keys.encode_keys`. Raises EntityKeyError for another text."""
    texts = entity_key.split(",")
    if len(texts) != len(join_keys):
        raise EntityKeyError(f"{entity_key!r} is no entity key of {', '.join(key.name for key in join_keys)}.")
    try:
        return [_value(key, text) for key, text in zip(join_keys, texts, strict=True)]
    except (ValueError, ArithmeticError, KeyError) as error:
        raise EntityKeyError(f"{entity_key!r} is no entity key of {', '.join(key.name for key in join_keys)}: {error}.") from None


def _value(key: Column, text: str) -> object:
    match letter(key):
        case "i":
            return int(text)
        case "s":
            return unquote(text, errors="strict")
        case "b":
            return {"true": True, "false": False}[text]
        case "d":
            return date.fromisoformat(text)
        case "t":
            moment = from_micros(int(text))
            return moment if isinstance(key.value_type, TimestampType) and key.value_type.utc else moment.replace(tzinfo=None)
        case "n":
            return Decimal(text)
        case _:
            return bytes.fromhex(text)


def _unlikely(key: Column, number: int) -> object:
    match key.value_type:
        case IntegerType(bits, signed):
            return 2 ** (bits - signed) - 1 - number
        case StringType():
            return f"never seen {number}"
        case BooleanType():
            return bool(number % 2)
        case DateType():
            return date(9000 + number, 1, 1)
        case TimestampType(utc):
            return datetime(9000 + number, 1, 1, tzinfo=timezone.utc if utc else None)
        case DecimalType(precision, scale):
            return Decimal(10 ** (precision - scale) - 1 - number) if precision > scale else Decimal(0)
        case BytesType():
            return f"never seen {number}".encode()
    raise EntityKeyError(f"Join key {key.name!r} is of type {key.value_type}.")
