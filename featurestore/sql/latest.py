"""The newest values of a view at an instant: what materialize publishes, and exactly what training would say for (key, that instant).

By position the answer has the join keys, the event timestamp and `valid_to` as naive UTC (null unless a snapshot), then every feature.
The TTL is not applied: expiry is decided at read. As in training, keys and timestamps find the row first, and its features come back by
an equi-join.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from featurestore.registry.definitions import FeatureView

from .dialects import dialect_named
from .expressions import (
    any_of,
    column,
    count_where,
    digest_where,
    greatest_where,
    hashable,
    is_null,
    joined,
    named,
    null_of,
    smallest_where,
    table,
    text_type,
    unused,
    window,
    with_ctes,
)
from .history import History, as_known, history_names
from .instants import earlier, instant_literal, timestamp_type
from .ties import alone, first_ranked, several


def latest_rows(
    view: FeatureView,
    at: datetime,
    dialect: str,
    *,
    changed_since: datetime | None = None,
    counted_at: datetime | None = None,
    not_before: datetime | None = None,
) -> exp.Query:
    """One row for each entity key of which a row counts at `at`: the row that wins.

    Args:
        view: the feature view.
        at: the instant; naive is read as UTC.
        dialect: sqlglot's name of the warehouse's SQL.
        changed_since: only keys with a row written at this instant or later, by its created timestamp.
        counted_at: only keys with a row that began to count, or ended, after this instant. With both, keys of either kind.
        not_before: only keys whose winning row has this event timestamp or a later one.

    What is said of a key comes from its whole history, whatever made it one of those asked for.
    """
    latest = _Latest(History(view, history_names(view), dialect_named(dialect)), at)
    news = latest.news(changed_since, counted_at)
    queries: list[tuple[str, exp.Query]] = [(latest.changed_name, latest.changed(news))] if news else []
    if latest.history.dialect.ranks_at_once:
        rivals = latest.of_changed(latest.history_then()) if news else latest.history_then()
        queries += [("rivals", latest.since(rivals, not_before)), ("ranked", latest.ranked_at_once())]
        return with_ctes(latest.first_ranked(), queries)
    known = latest.of_changed(latest.known()) if news else latest.known()
    queries += [("known", known), ("newest", latest.newest(not_before)), ("history", latest.history_then())]
    queries += [("tied", latest.tied()), ("rivals", latest.history_then()), ("ranked", latest.ranked())]
    return with_ctes(latest.winners(), queries)


def view_bounds(view: FeatureView, at: datetime, dialect: str, *, digested: bool = False, created_by: datetime | None = None) -> exp.Select:
    """One row that says what a view holds, so that the next run can tell what it may skip.

    Its columns, null where there is nothing to say: `event_timestamp`, the newest of a row that counts at `at`; `created_timestamp`, the
    newest in the view; `next_change`, the first instant after
    `at` at which a row starts to count (or, where validity may overlap, ends, so that an older one comes back); and, only where they
    are asked for and the warehouse can, digests of whole rows: `digest`, of all of them, and `digest_then`, of those created by the
    instant given or at no known time.
    """
    facts = dialect_named(dialect)
    history = History(view, history_names(view), facts)
    written = column(history.names.created_timestamp)
    row_hash = facts.row_hash if digested and view.created_timestamp is not None else None
    rows = history.select(view.features if row_hash else (), created=True, valid_to=True, known_at=True)
    newest = null_of(timestamp_type(facts)) if view.created_timestamp is None else exp.Max(this=written.copy())
    digests = {"digest": null_of(text_type(facts)), "digest_then": null_of(text_type(facts))}
    if row_hash is not None:
        names = (*history.keys, history.names.event_timestamp, history.names.created_timestamp)
        values = [*map(column, names), *(hashable(each, column(each.name), facts) for each in view.features)]
        digests["digest"] = digest_where(exp.true(), [value.copy() for value in values], row_hash, facts)
        if created_by is not None:
            by_then = any_of(is_null(written.copy()), exp.LTE(this=written.copy(), expression=instant_literal(created_by, facts)))
            digests["digest_then"] = digest_where(by_then, [value.copy() for value in values], row_hash, facts)
    told = {"event_timestamp": _newest_counting(history, at), "next_change": _next_change(history, at), "created_timestamp": newest}
    told |= digests
    query = exp.select(*(named(value, name) for name, value in told.items())).from_(table("history"))
    return with_ctes(query, [("history", rows)])


def entity_key_counts(
    view: FeatureView, at: datetime, dialect: str, *, not_before: datetime | None, not_before_then: datetime | None
) -> exp.Select:
    """One row that says how many entity keys have a row that counts at `at`.

    Args:
        not_before: what `entity_keys` counts: keys whose newest such row has this event timestamp or a later one. None: all.
        not_before_then: the same of `entity_keys_then`.
    """
    latest = _Latest(History(view, history_names(view), dialect_named(dialect)), at)
    counts = {"entity_keys": latest.key_count(not_before), "entity_keys_then": latest.key_count(not_before_then)}
    query = exp.select(*(named(count, name) for name, count in counts.items())).from_(table("newest"))
    return with_ctes(query, [("known", latest.known()), ("newest", latest.newest(None))])


def _newest_counting(history: History, at: datetime) -> exp.Expression:
    counts = exp.LTE(this=column(history.names.known_at), expression=instant_literal(at, history.dialect))
    return greatest_where(counts, column(history.names.event_timestamp))


def _next_change(history: History, at: datetime) -> exp.Expression:
    names, view = history.names, history.view
    known_at, valid_to = column(names.known_at), column(names.valid_to)
    now = instant_literal(at, history.dialect)
    counts_later = exp.GT(this=known_at, expression=now)
    if view.valid_to is None or view.disjoint_validity:
        return smallest_where(counts_later, known_at)
    turns = exp.Case(ifs=[exp.If(this=counts_later, true=known_at.copy())], default=valid_to)
    return smallest_where(exp.GT(this=turns, expression=now.copy()), turns)


@dataclass(frozen=True, slots=True)
class _Latest:
    """The CTEs of one query of newest rows."""

    history: History
    at: datetime

    def known(self) -> exp.Select:
        """Keys and timestamps of the rows that count at the instant."""
        return self._counting(self.history.select())

    def history_then(self) -> exp.Select:
        """The same rows with all that is asked of them."""
        return self._counting(self.history.select(self.history.view.features, created=True, valid_to=True))

    def news(self, changed_since: datetime | None, counted_at: datetime | None) -> list[exp.Expression]:
        """The conditions of which one makes a row's key one of those asked for."""
        view, names = self.history.view, self.history.names
        news: list[exp.Expression] = []
        if changed_since is not None and view.created_timestamp is not None:
            news.append(exp.GTE(this=column(names.created_timestamp), expression=self._literal(changed_since)))
        if counted_at is not None:
            news.append(exp.GT(this=column(names.known_at), expression=self._literal(counted_at)))
            if view.valid_to is not None:
                news.append(exp.GT(this=column(names.valid_to), expression=self._literal(counted_at)))
        return news

    def changed(self, news: list[exp.Expression]) -> exp.Select:
        """The keys of which something is new."""
        rows = self.history.select(created=True, valid_to=True, known_at=True).subquery(exp.to_identifier("rows", quoted=True))
        return exp.select(*self._keys()).distinct().from_(rows).where(exp.or_(*news))

    def of_changed(self, rows: exp.Select) -> exp.Select:
        """Only those rows of the view whose keys changed."""
        return joined(rows, table(self.changed_name), self.history.same_key_as(self.changed_name))

    @property
    def changed_name(self) -> str:
        """What the keys of which something is new are called: not as the model, which stands beside them."""
        return unused("changed", [self.history.view.relation.identifier])

    def newest(self, not_before: datetime | None) -> exp.Select:
        """Each key's winning timestamp."""
        timestamp = column(self.history.names.event_timestamp)
        winning = exp.Max(this=timestamp)
        newest = exp.select(*self._keys(), named(winning, timestamp.name)).from_(table("known")).group_by(*self._keys())
        if not_before is None:
            return newest
        return newest.having(exp.GTE(this=winning.copy(), expression=self._literal(not_before)))

    def key_count(self, not_before: datetime | None) -> exp.Expression:
        """How many keys win with that timestamp or a later one."""
        if not_before is None:
            return exp.Count(this=exp.Star())
        timestamp = column(self.history.names.event_timestamp)
        return count_where(exp.GTE(this=timestamp, expression=self._literal(not_before)))

    def found(self, rows: str) -> exp.Select:
        """The rows of those timestamps, as columns of `rows`."""
        return self._at_winning_timestamp(self._answering(rows), rows)

    def tied(self) -> exp.Select:
        """The keys with several rows of that timestamp."""
        return several(self._at_winning_timestamp(exp.select(), "known"), [column(key, "newest") for key in self.history.keys])

    def ranked(self) -> exp.Select:
        """The rows of those keys, the winner first."""
        is_tied = [exp.EQ(this=column(key, "tied"), expression=column(key, "newest")) for key in self.history.keys]
        return joined(self.found("rivals"), table("tied"), is_tied).select(self._rank(self.history.newest_first("rivals")))

    def winners(self) -> exp.Query:
        """One row for each key."""
        return exp.union(
            alone(self.found("history"), "history", "tied", self.history.keys, self.history.dialect), self.first_ranked(), distinct=False
        )

    def since(self, rows: exp.Select, not_before: datetime | None) -> exp.Select:
        """The rows from that instant on. A key whose winner is older than that has none among them."""
        if not_before is None:
            return rows
        return rows.where(exp.GTE(this=self.history.event_timestamp, expression=self._literal(not_before)))

    def ranked_at_once(self) -> exp.Select:
        """All rows of all keys, the winner of each first."""
        rank = self._rank(self.history.newest_first("rivals", event_timestamp=True))
        return self._answering("rivals").from_(table("rivals")).select(rank)

    def first_ranked(self) -> exp.Select:
        """The winners of a ranking."""
        return first_ranked("ranked", self._place(), self._answered())

    def _rank(self, newest_first: list[exp.Ordered]) -> exp.Expression:
        keys = [column(key, "rivals") for key in self.history.keys]
        return named(window(exp.RowNumber(), keys, newest_first), self._place())

    def _answering(self, rows: str) -> exp.Select:
        """The columns of the answer, from `rows`."""
        names, features = self.history.names, self.history.view.features
        valid_to = column(names.valid_to, rows) if self.history.view.valid_to else null_of(timestamp_type(self.history.dialect))
        return exp.select(
            *(column(name, rows) for name in (*self.history.keys, names.event_timestamp)),
            named(valid_to, names.valid_to),
            *(column(feature.name, rows) for feature in features),
        )

    def _at_winning_timestamp(self, query: exp.Select, rows: str) -> exp.Select:
        names = (*self.history.keys, self.history.names.event_timestamp)
        same = [exp.EQ(this=column(name, "newest"), expression=column(name, rows)) for name in names]
        return joined(query.from_(table("newest")), table(rows), same)

    def _answered(self) -> list[str]:
        names = self.history.names
        return [*self.history.keys, names.event_timestamp, names.valid_to, *(feature.name for feature in self.history.view.features)]

    def _place(self) -> str:
        return unused("place", self._answered())

    def _keys(self) -> list[exp.Expression]:
        return [column(key) for key in self.history.keys]

    def _literal(self, at: datetime) -> exp.Expression:
        return instant_literal(at, self.history.dialect)

    def _counting(self, rows: exp.Select) -> exp.Select:
        """Known by `at` and not ended then. The arithmetic is on the constant, so that a warehouse can skip what is newer."""
        view, history, at = self.history.view, self.history, self._literal(self.at)
        rows = rows.where(exp.LTE(this=history.event_timestamp, expression=earlier(at, view.available_after, history.dialect)))
        if as_known(view):
            rows = rows.where(any_of(is_null(history.created_timestamp), exp.LTE(this=history.created_timestamp, expression=at.copy())))
        if view.valid_to is not None:
            rows = rows.where(any_of(is_null(history.valid_to), exp.GT(this=history.valid_to, expression=at.copy())))
        return rows
