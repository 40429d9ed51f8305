"""What an online request means, decided without reaching anything: from entity rows to keys, and from stored rows to the answer.

A row counts as training would count it: a TTL is exceeded when now minus the event time is greater than it, a row whose `valid_to`
has come is not found, and a null join key finds nothing. Of a view of aggregations, what holds now is taken of what a row says of the
time after its materialization, and nothing once that time is over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from featurestore.codec.decode import DecodedRows, RowDecoder
from featurestore.codec.keys import KeySpace, encode_keys, key_space
from featurestore.codec.layout import RowSchema
from featurestore.codec.steps import read_fields
from featurestore.errors import EntityKeyError, RequestError, did_you_mean
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.registry import Registry, RequestedView, RequestInput
from featurestore.timestamps import duration_micros, to_micros

from .inputs import TypedInputs, typed_inputs
from .on_demand import WorkedOut
from .online_features import OnlineFeatures, Status, ViewAnswer
from .shapes import column_lists, refuse_no_rows
from .steps import Held, Steps

_NULL = type(None)
_ROWS = "entity rows"

EntityRows: TypeAlias = Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True)
class RequestedRows:
    """What one feature view of a request reads, and how."""

    view: str
    spelling: int
    """Which of the request's spellings its entity keys have."""

    space: KeySpace
    ttl: int | None
    """Microseconds."""

    decoder: RowDecoder
    features: tuple[Column, ...]
    """Output names and types."""

    names: tuple[str, ...]
    steps: Steps | None = None
    """Of a view of aggregations: how the values that hold now are found among those that a row has."""

    on_demand: WorkedOut | None = None
    """How features on demand are worked out from what is read. None: there are none."""


@dataclass(frozen=True, slots=True)
class OnlineRequest:
    """A choice of features, resolved once and used for many requests."""

    parts: tuple[RequestedRows, ...]
    spellings: tuple[tuple[Column, ...], ...]
    """The different join keys by which the parts are looked up: views of one entity share the spelling of its keys."""

    join_keys: tuple[Column, ...]
    """All that the parts need, each once."""

    output_names: frozenset[str]
    requested: tuple[RequestedView, ...]
    """What was asked for, in the order of the parts."""

    registry: Registry
    """In which it was looked up."""

    inputs: tuple[RequestInput, ...] = ()
    """What the request has to bring for features on demand; one that several views need may be named more than once."""

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """Whose features were asked for, in the order of the parts."""
        return tuple(wanted.view for wanted in self.requested)


class Lookup(NamedTuple):
    """The keys to read for one request."""

    request: OnlineRequest
    row_count: int
    """How many entity rows there are."""

    entity_columns: Mapping[str, Sequence[object]]
    keys: list[bytes]
    """Of all parts, one part after the other, without the rows that have a null join key."""

    found_at: Sequence[Sequence[int] | None]
    """For each part, which entity rows its keys belong to. None: all of them."""

    inputs: TypedInputs


def prepare_request(project: str, requested: Sequence[RequestedView], registry: Registry) -> OnlineRequest:
    """Resolve a choice of features for reading. Raises RequestError for a view that is not online."""
    parts: list[RequestedRows] = []
    spellings: dict[tuple[Column, ...], int] = {}
    for wanted in requested:
        view = wanted.view
        refuse_offline(view)
        if wanted.unresolved:
            raise RequestError(
                f"{view.name}:{wanted.unresolved[0]} cannot be worked out: when the registry was published, the types of what it needs "
                "were not known. Build the model, and run: fsdbt materialize"
            )
        read = wanted.read
        decoder = RowDecoder(view.name, read_fields(read.features) if view.aggregated else read.features)
        decoder.learn(RowSchema.of(view))
        output = tuple(Column(name, feature.value_type) for name, feature in zip(wanted.output_names, wanted.features, strict=True))
        ttl = None if view.ttl is None else duration_micros(view.ttl)
        spelling = spellings.setdefault(view.join_keys, len(spellings))
        steps = Steps.of(read.features) if view.aggregated else None
        on_demand = WorkedOut.of(wanted)
        parts.append(
            RequestedRows(view.name, spelling, key_space(project, view), ttl, decoder, output, wanted.output_names, steps, on_demand)
        )
    join_keys = {key.name: key for keys in spellings for key in keys}
    names = frozenset(column.name for part in parts for column in part.features)
    inputs = tuple(needed for wanted in requested for needed in wanted.inputs)
    return OnlineRequest(tuple(parts), tuple(spellings), tuple(join_keys.values()), names, tuple(requested), registry, inputs)


def refuse_offline(view: FeatureView) -> None:
    """Raise RequestError for a view that is not online."""
    if not view.online:
        raise RequestError(f"{view.name!r} is not online: its meta says `online: false`. Its features are for training only.")


def plan_lookup(request: OnlineRequest, entity_rows: EntityRows) -> Lookup:
    """Which keys answer that request.

    Raises EntityKeyError for a join key that is missing or of the wrong type, RequestError for rows of another shape, and for an input of
    a feature on demand that is missing or of the wrong type.
    """
    columns, count = _columns(request, entity_rows)
    spelled = [_spell(join_keys, columns, count) for join_keys in request.spellings]
    keys: list[bytes] = []
    for part in request.parts:
        keys += part.space.keys(spelled[part.spelling][0])
    found_at = [spelled[part.spelling][1] for part in request.parts]
    return Lookup(request, count, columns, keys, found_at, typed_inputs(request.inputs, columns))


def assemble(lookup: Lookup, rows: Sequence[bytes | None], now: datetime) -> OnlineFeatures:
    """The answer, from the stored row of each key. Raises UnknownSchemas where a row's schema was not learned yet."""
    now_micros = to_micros(now)
    answers, start = [], 0
    for part, positions in zip(lookup.request.parts, lookup.found_at, strict=True):
        stop = start + (lookup.row_count if positions is None else len(positions))
        answer = _answer(part, rows[start:stop], positions, lookup.row_count, now_micros)
        if part.on_demand is not None:
            columns = part.on_demand.columns(answer.columns, lookup.inputs, lookup.row_count, now)
            answer = answer._replace(columns=columns)
        answers.append(answer)
        start = stop
    return OnlineFeatures(lookup.entity_columns, lookup.request.join_keys, answers)


def _answer(part: RequestedRows, rows: Sequence[bytes | None], positions: Sequence[int] | None, count: int, now: int) -> ViewAnswer:
    present = list(filter(None, rows))
    decoded = part.decoder.decode(present)
    columns, found_times, without = _held(part, decoded, now)
    if without is None and len(present) == count:
        return ViewAnswer(part.features, part.names, columns, found_times, None)
    places = range(count) if positions is None else positions
    at = [place for place, row in zip(places, rows, strict=True) if row]
    statuses: list[Status | None] = [Status.NOT_FOUND] * count
    for place, status in zip(at, without or [None] * len(at), strict=True):
        statuses[place] = status
    columns = [_spread(column, at, statuses) for column in columns]

    def event_times() -> Sequence[int | None]:
        found = _spread(found_times(), at, [None] * count)
        return [None if status is Status.NOT_FOUND else instant for status, instant in zip(statuses, found, strict=True)]

    return ViewAnswer(part.features, part.names, columns, event_times, statuses)


def _held(part: RequestedRows, decoded: DecodedRows, now: int) -> Held:
    """What the rows found say at that time."""
    if part.steps is not None:
        return part.steps.held(decoded, now)
    return Held(decoded.columns, decoded.event_times, _without_values(part, decoded, now))


def _without_values(part: RequestedRows, decoded: DecodedRows, now: int) -> Sequence[Status | None] | None:
    """For the rows found, NOT_FOUND or OUTSIDE_MAX_AGE where their values do not count at that time. None: all of them do."""
    oldest = None if part.ttl is None else now - part.ttl
    event_times = decoded.event_times() if oldest is not None else ()
    too_old = oldest is not None and bool(event_times) and min(event_times) < oldest
    if not too_old and decoded.valid_to.count(None) == len(decoded.valid_to):
        return None
    ended = [end is not None and end <= now for end in decoded.valid_to]
    aged = [oldest is not None and instant < oldest for instant in event_times] if too_old else [False] * len(ended)
    return [
        Status.NOT_FOUND if has_ended else Status.OUTSIDE_MAX_AGE if has_aged else None
        for has_ended, has_aged in zip(ended, aged, strict=True)
    ]


def _spread(values: Sequence[Any], at: Sequence[int], statuses: Sequence[Status | None]) -> list[Any]:
    """Values at their places among all rows, and None where a status says that there is none."""
    whole: list[Any] = [None] * len(statuses)
    for place, value in zip(at, values, strict=True):
        if statuses[place] is None:
            whole[place] = value
    return whole


def _spell(join_keys: tuple[Column, ...], columns: Mapping[str, Sequence[object]], count: int) -> tuple[list[str], Sequence[int] | None]:
    """The entity keys, and the rows that have one where some do not."""
    values = [columns[key.name] for key in join_keys]
    if not any(_NULL in set(map(type, column)) for column in values):
        return encode_keys(join_keys, values), None
    positions = [row for row, parts in enumerate(zip(*values, strict=True)) if None not in parts]
    return encode_keys(join_keys, [[column[row] for row in positions] for column in values]), positions


def _columns(request: OnlineRequest, entity_rows: EntityRows) -> tuple[dict[str, Sequence[object]], int]:
    columns: dict[str, Sequence[object]]
    columns = {**column_lists(entity_rows, _ROWS)} if isinstance(entity_rows, Mapping) else _of_rows(request, entity_rows)
    for key in request.join_keys:
        if key.name not in columns:
            if not columns and not entity_rows:
                columns[key.name] = []
                continue
            names = ", ".join(map(str, columns)) or "nothing"
            raise EntityKeyError(f"Join key {key.name!r} is missing. The entity rows have: {names}.{did_you_mean(key.name, columns)}")
    if not request.output_names.isdisjoint(columns):
        taken = min(request.output_names.intersection(columns))
        raise RequestError(
            f"The entity rows have a column {taken!r}, which is the name of a feature too. Leave it out, or ask with "
            "full_feature_names=True."
        )
    return columns, len(next(iter(columns.values()), ()))


def _of_rows(request: OnlineRequest, rows: Sequence[Mapping[str, object]]) -> dict[str, Sequence[object]]:
    refuse_no_rows(rows, _ROWS)
    if not rows:
        return {}
    try:
        columns: dict[str, Sequence[object]] = {name: [row[name] for row in rows] for name in rows[0]}
        if sum(map(len, rows)) == len(columns) * len(rows):
            return columns
    except KeyError:
        pass
    names = dict.fromkeys(chain.from_iterable(rows))
    for number, row in enumerate(rows):
        for key in request.join_keys:
            if key.name in names and key.name not in row:
                raise EntityKeyError(f"Join key {key.name!r} is missing from entity row {number}: {dict(row)!r}.")
        for needed in request.inputs:
            if needed.name in names and needed.name not in row:
                raise RequestError(f"Input {needed.name!r}, which {needed.needed_by!r} needs, is missing from entity row {number}.")
    return {name: [row.get(name) for row in rows] for name in names}
