"""The sources that are joined to a view's rows, as against those whose rows they are, and the features that see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from sqlglot import exp

from featurestore.lineage.query import Select
from featurestore.lineage.tables import Table

from .bounds import Seen, comparisons, conjuncts, keeps_to_past, seen
from .naming import is_detail_of, is_own_key
from .origins import Instant, Step, aliases_in, carriers_of, is_of
from .parts import Part, Role
from .shapes import Kept, Shape, event_times, is_aggregate, is_aggregated, kept_rows, shape_of
from .subject import ModelInView

_NO_TIME = timedelta(0)


@dataclass(frozen=True, eq=False)
class Joined:
    """A source that is joined to the rows of a select."""

    model: ModelInView
    select: Select
    alias: str
    carriers: frozenset[str]
    """The sources that it is joined to."""

    on_path: bool
    """Whether the select's rows are the view's."""

    features: frozenset[str]
    """Those whose values are made of it."""

    filtered: frozenset[str]
    """Those whose rows are filtered by it."""

    values: tuple[Part, ...]
    """The columns of the select that are made of it."""

    @property
    def source(self) -> Select | Table | exp.Expr:
        return self.select.sources[self.alias]

    @property
    def unique_id(self) -> str:
        return self.model.model.node.unique_id

    @property
    def join(self) -> exp.Expr | None:
        """Its JOIN; None where it is what is selected from first."""
        joins = self.select.expression.args.get("joins") or ()
        return next((join for join in joins if join.this.alias_or_name.casefold() == self.alias), None)

    @cached_property
    def shape(self) -> Shape:
        return shape_of(self.model.project.origins, self.unique_id, self.source)

    @cached_property
    def kept(self) -> Kept | None:
        """How the select itself keeps one of its rows of each key: `… and n.rn = 1` of a join."""
        return kept_rows(self.model.project.origins, self.unique_id, self.select, {self.alias})

    @cached_property
    def carrier_shapes(self) -> tuple[Shape, ...]:
        return tuple(shape_of(self.model.project.origins, self.unique_id, self.select.sources[each]) for each in self.carriers)

    @cached_property
    def slack(self) -> timedelta:
        """By how much later than what it is joined on a row of the view counts."""
        return slack(self.model) if self.on_path else _NO_TIME

    @cached_property
    def sight(self) -> Seen:
        return seen(self.model.project.origins, self.unique_id, self.select, self.alias, self.slack)

    @cached_property
    def is_events(self) -> bool:
        """Whether its rows have a time of their own."""
        return bool(event_times(self.model.project.origins, self.unique_id, self.source))

    @cached_property
    def is_history(self) -> bool:
        """Whether it has many rows with times of their own for each that it is joined to: it is not joined by what tells its rows apart."""
        own = [key.name for key, _ in self.keys if isinstance(key, exp.Column)]
        return self.is_events and not any(is_own_key(key, name) for key in own for name in self.shape.names)

    @cached_property
    def is_joined_to_entity(self) -> bool:
        """Whether what it is joined to has one row for each entity: it is joined by that one's own key, which is the view's."""
        names = [name for shape in self.carrier_shapes for name in shape.names]
        others = [other for _, other in self.keys]
        return (
            bool(others)
            and all(isinstance(other, exp.Column) and any(is_own_key(other.name, name) for name in names) for other in others)
            and is_entity(self.model, self.unique_id, self.select, others)
        )

    @cached_property
    def gathered(self) -> Step | None:
        """The step at which the view's rows are aggregated once it was joined to them; None where they are not."""
        steps = self.model.project.origins.path(self.model.view)
        place = next((at for at, step in enumerate(steps) if step.select is self.select), None)
        return None if place is None else next((step for step in reversed(steps[: place + 1]) if is_aggregated(step.select)), None)

    @property
    def is_made_spine(self) -> bool:
        """Whether the view's rows are days, or other buckets, that are looked back from."""
        return self.on_path and any(each.is_series or each.bucket for each in stamps(self.model))

    @cached_property
    def keys(self) -> tuple[tuple[exp.Expr, exp.Expr], ...]:
        """What must be equal in it and in the rows it is joined to: its side first. Times are not among them."""
        return tuple(self._keys())

    def _keys(self) -> Iterator[tuple[exp.Expr, exp.Expr]]:
        origins = self.model.project.origins
        for condition in _conditions(self.select, self.source):
            for each in comparisons(condition):
                inside = self.source if isinstance(self.source, Select) and condition in _own(self.source) else self.select
                sides = [(aliases_in(inside, side), side) for side in (each.smaller, each.larger)]
                if not each.equal or not all(aliases for aliases, _ in sides):
                    continue
                if origins.is_time(self.unique_id, inside, each.smaller) and origins.is_time(self.unique_id, inside, each.larger):
                    continue
                if inside is self.source:
                    own = next((side for aliases, side in sides if "" not in aliases), None)
                    other = next((side for aliases, side in sides if "" in aliases), None)
                else:
                    own = next((side for aliases, side in sides if aliases == {self.alias}), None)
                    other = next((side for aliases, side in sides if self.alias not in aliases), None)
                if own is not None and other is not None:
                    yield own, other
        for join in self.select.expression.args.get("joins") or ():
            if join.this.alias_or_name.casefold() == self.alias:
                yield from ((exp.column(name.name), exp.column(name.name)) for name in join.args.get("using") or ())

    @cached_property
    def is_same_event(self) -> bool:
        """Whether it is joined by what tells the rows themselves apart, such as an order's items by the order: no key of an entity."""
        entity = {key.name.casefold() for key in self.model.view.join_keys}
        for own, other in self.keys:
            if not isinstance(other, exp.Column) or not isinstance(own, exp.Column):
                continue
            carriers = [name for shape in self.carrier_shapes for name in shape.names]
            theirs = [name for name in carriers if is_own_key(other.name, name) or is_detail_of(other.name, name)]
            if theirs and other.name.casefold() not in entity and own.name.casefold() not in entity:
                return True
        return False


def joined_sources(model: ModelInView) -> Iterator[Joined]:
    """Every source joined to others that features of the view depend on."""
    steps = {step.select: step for step in model.project.origins.path(model.view)}
    for select in model.selects:
        step = steps.get(select)
        carriers = step.carriers if step is not None else carriers_of(select, None)
        if select.parts or len(select.sources) < 2:
            continue
        for alias in select.sources:
            if alias in carriers:
                continue
            values = tuple(
                part
                for part in model.parts
                if part.select is select and _uses(select, alias, part) and not _compares_inside(model, part, alias)
            )
            features = frozenset(name for part in values for name in part.used_as(Role.VALUE))
            filtered = frozenset(name for part in values if _filters(part) for name in part.used_as(Role.ROWS))
            if features or filtered:
                yield Joined(model, select, alias, carriers, step is not None, features, filtered, values)


def stamps(model: ModelInView) -> frozenset[Instant]:
    """The instants that the view's event timestamp may be."""
    origins = model.project.origins
    root = origins.root(model.view.unique_id)
    timestamp = None if root is None else root.projection(model.view.event_timestamp.name)
    return frozenset() if timestamp is None else origins.of_projection(model.view.unique_id, timestamp)


def slack(model: ModelInView) -> timedelta:
    """By how much later than the time that its rows come from a row of the view counts."""
    shifts = [each.shift for each in stamps(model)]
    return model.view.available_after + max(_NO_TIME, min(shifts, default=_NO_TIME))


def _compares_inside(model: ModelInView, part: Part, alias: str) -> bool:
    """Whether an aggregate takes only what came before: `sum(case when p.ts <= o.ts then …)`, `count(*) filter (where …)`."""
    if part.expression is None or not any(map(is_aggregate, part.nodes())):
        return False
    origins, unique_id = model.project.origins, model.model.node.unique_id
    conditions = [node.this for node in part.nodes() if isinstance(node, exp.If | exp.Where)]
    return any(keeps_to_past(origins, unique_id, part.select, alias, condition, slack(model)) for condition in conditions)


def _filters(part: Part) -> bool:
    return part.projection is None and isinstance(part.expression, exp.Where | exp.Qualify)


def _uses(select: Select, alias: str, part: Part) -> bool:
    """Whether a column or a filter of a select is made of one of its sources."""
    if part.projection is None and not isinstance(part.expression, exp.Where | exp.Having | exp.Qualify):
        return False
    if part.expression is None:
        return part.projection is not None and any(is_of(each, select.sources[alias]) for each in part.projection.passed_on)
    if alias in aliases_in(select, part.expression):
        return True
    # count(*) counts whatever is joined.
    return any(isinstance(node, exp.Count) and is_aggregate(node) and node.find(exp.Column) is None for node in part.nodes())


def _conditions(select: Select, source: Select | Table | exp.Expr) -> Iterator[exp.Expr]:
    yield from conjuncts(select)
    if isinstance(source, Select) and source.around is not None:
        yield from conjuncts(source)


def _own(select: Select) -> list[exp.Expr]:
    return list(conjuncts(select)) if select.around is not None else []


def is_entity(model: ModelInView, unique_id: str, select: Select, keys: Sequence[exp.Expr]) -> bool:
    """Whether keys are none but those of the view's entities, by their names or by the source columns that they are made of."""
    return all(_is_key(model, unique_id, select, key) for key in keys)


def _is_key(model: ModelInView, unique_id: str, select: Select, key: exp.Expr) -> bool:
    origins = model.project.origins
    names = {each.name.casefold() for each in model.view.join_keys}
    if isinstance(key, exp.Column) and key.name.casefold() in names:
        return True
    if not key.find(exp.Column):
        return True
    root = origins.root(model.view.unique_id)
    projections = [] if root is None else [root.projection(name) for name in names]
    of_keys = origins.leaves(model.view.unique_id, (each for each in projections if each is not None))
    leaves = origins.leaves(unique_id, select.inputs_of(key))
    return bool(leaves) and leaves <= of_keys
