"""The experiment on a dbt project: its DuckDB file is copied, and the real dbt builds the models in the copy.

The profile that dbt is given there is the project's own with another path, and with whatever it attaches read-only: the user's database is
only read.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import yaml

from featurestore.checks.finding import Finding, Rule
from featurestore.checks.shapes import is_immutable
from featurestore.checks.subject import CheckedModel
from featurestore.dbt.invoke import run_dbt
from featurestore.dbt.nodes import Node, TestNode
from featurestore.dbt.profiles import Target
from featurestore.errors import ProjectError, RequestError
from featurestore.lineage.project import ProjectLineage
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.registry.value_types import DateType, TimestampType
from featurestore.warehouse.duckdb_profile import read_profile

from . import proved_chance, proved_leak
from .experiment import ChangedValue, Proof, ProvedSource, ProvedView, experiment
from .tables import StoredTables, stored_tables

Describe = Callable[[Sequence[Relation]], Mapping[Relation, tuple[Column, ...]]]


@dataclass(frozen=True)
class ProjectProof:
    """What the experiment showed of a project."""

    proof: Proof
    findings: tuple[Finding, ...]
    changed: tuple[str, ...]
    """The sources and seeds whose later rows were changed, each with its time column."""

    left: tuple[str, ...]
    """Those that were left as they are, each with the reason: leaks through them are not shown."""


@dataclass(frozen=True)
class ProofProject:
    """A dbt project to be experimented on."""

    folder: Path
    target: Target
    lineage: ProjectLineage
    describe: Describe

    def prove(self, views: Sequence[FeatureView]) -> ProjectProof:
        """Prove what leaks into those views. Raises RequestError where it cannot be tried, ProjectError where dbt fails in the copy."""
        database = self._database()
        self._refuse_files(views)
        with tempfile.TemporaryDirectory(prefix="fsdbt-prove") as scratch:
            copy = Path(scratch) / "database" / database.name
            copy.parent.mkdir()
            _copy(database, copy)
            sources, left = self._sources(views, stored_tables(copy))
            if not sources:
                raise RequestError(f"Nothing can be proved: no source row can be told to be later than another. {' '.join(left)}")
            self._write_profile(Path(scratch), copy)
            if self.lineage.manifest.hooks:
                sys.stderr.write(f"Each build in the copy runs the project's hooks: {', '.join(self.lineage.manifest.hooks)}.\n")
            proof = experiment(copy, sources, [_proved(view) for view in views], lambda: self._build(Path(scratch), views))
        changed = tuple(f"{source.name} by {source.time}" for source in sources)
        return ProjectProof(proof, tuple(self._findings(proof, views)), changed, tuple(left))

    def _database(self) -> Path:
        if self.target.type != "duckdb":
            raise RequestError(
                f"--prove builds the models in a copy of a DuckDB file, and the target {self.target} is none. Choose one with --target."
            )
        file = read_profile(self.target).file
        if file is None or not file.exists():
            raise RequestError(f"--prove builds the models in a copy of the DuckDB file of {self.target}, and it is not there: dbt build.")
        return file

    def _refuse_files(self, views: Sequence[FeatureView]) -> None:
        """Refuse to run what writes anywhere but to the database: a copy of that would not protect it."""
        for node in self._behind(views):
            if node.config.materialized == "external":
                raise RequestError(f"{node.view_name} writes files (materialized: external), so it is not built for --prove.")

    def _behind(self, views: Sequence[FeatureView]) -> list[Node]:
        ids = {view.unique_id for view in views}
        nodes = self.lineage.manifest.nodes
        return [nodes[each] for each in self.lineage.graph.in_order({*ids, *self.lineage.graph.ancestors(ids)}) if each in nodes]

    def _sources(self, views: Sequence[FeatureView], tables: StoredTables) -> tuple[list[ProvedSource], list[str]]:
        """Where later rows can be told: by the columns of the event timestamps, or by the only time that a table has. And where not."""
        roots = [node for node in self._behind(views) if node.resource_type in ("source", "seed", "snapshot")]
        columns = self.describe([node.relation for node in roots])
        traced = {each for view in views for each in self.lineage.trace(view.unique_id, view.event_timestamp.name).values}
        found: list[ProvedSource] = []
        left: list[str] = []
        for node in roots:
            name = f"{node.source_name}.{node.name}" if node.resource_type == "source" else node.name
            own = columns.get(node.relation, ())
            table = tables.find(node.relation)
            times = [column.stored_name for column in own if isinstance(column.value_type, TimestampType | DateType)]
            asked = [each for each in times if any(t.node == node.unique_id and t.column.casefold() == each.casefold() for t in traced)]
            if table is None or not own:
                left.append(f"{name}: it is no table of this database, so it stays as it is.")
                continue
            if is_immutable(node):
                left.append(f"{name}: it is declared immutable.")
                continue
            if table.left:
                left.append(f"{name}: {table.left}, so its rows cannot be changed.")
                continue
            ends = None
            if node.resource_type == "snapshot":
                starts, ends = (_stored(own, _snapshot_column(node, each)) for each in ("dbt_valid_from", "dbt_valid_to"))
                chosen = [each for each in times if each == starts]
                words = f"has no {starts or _snapshot_column(node, 'dbt_valid_from')} that is a time"
                ends = ends if ends in times else None
            else:
                chosen = asked or times
                words = "has no column with a time" if not chosen else f"may have happened by {' or '.join(chosen)}"
            beside = sorted({each.column for each in traced if each.node == node.unique_id} - set(chosen)) if ends is None else []
            if len(chosen) != 1:
                left.append(f"{name}: {words}, so its later rows cannot be told.")
            elif beside:
                # A flight that is planned for after the cut may have left before it.
                made = f"event timestamps are made of {chosen[0]} and of {', '.join(beside)} too"
                left.append(f"{name}: {made}, so its later rows cannot be told.")
            else:
                unique = tuple(dict.fromkeys((*table.unique, *self._declared_unique(node, own))))
                found.append(ProvedSource(name, node.relation, chosen[0], ends, unique))
        return found, left

    def _declared_unique(self, node: Node, own: Sequence[Column]) -> Iterator[frozenset[str]]:
        """The columns that dbt's `unique` tests, and constraints in YAML, say are unique."""
        tests = self.lineage.manifest.generic_tests(node.unique_id)
        named = [each.column_name or _tested(each) for each in tests if _is_unique_test(each)]
        for name, column in node.columns().items():
            if any(constraint.type in ("unique", "primary_key") for constraint in column.constraints or ()):
                named.append(name)
        for each in named:
            stored = _stored(own, str(each).strip('"`'))
            if stored is not None:
                yield frozenset({stored})

    def _write_profile(self, scratch: Path, copy: Path) -> None:
        settings: dict[str, Any] = {**self.target.settings, "path": str(copy)}
        if settings.get("attach"):
            settings["attach"] = [{**each, "read_only": True} for each in settings["attach"]]
        profile = {self.target.profile: {"target": self.target.name, "outputs": {self.target.name: settings}}}
        path = scratch / "profiles.yml"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(profile), encoding="utf-8")

    def _build(self, scratch: Path, views: Sequence[FeatureView]) -> None:
        selected = [f"+{self.lineage.manifest.nodes[view.unique_id].name}" for view in views]
        options = ["--project-dir", self.folder.resolve(), "--profiles-dir", scratch, "--profile", self.target.profile]
        options += ["--target", self.target.name, "--target-path", scratch / "target", "--log-path", scratch / "logs"]
        code = run_dbt(["--quiet", "run", "--full-refresh", "--select", *selected, *map(str, options)], self.folder)
        if code:
            raise ProjectError(f"dbt run ended with exit code {code} in the copy; its output above says why. Nothing was proved.")

    def _findings(self, proof: Proof, views: Sequence[FeatureView]) -> list[Finding]:
        of = {view.name: view for view in views}
        found = [self._finding(proved_leak.RULE, of[each.feature.view], each, proof) for each in proof.leaks]
        return found + [self._finding(proved_chance.RULE, of[each.feature.view], each, proof) for each in proof.by_chance]

    def _finding(self, rule: Rule, view: FeatureView, changed: ChangedValue, proof: Proof) -> Finding:
        node = self.lineage.manifest.nodes[view.unique_id]
        when = (
            f"source rows later than {_shown(proof.cut)} changed" if rule is proved_leak.RULE else "it was built again from the same rows"
        )
        keys = ", ".join(f"{name}={value}" for name, value in changed.keys.items())
        compared = proof.compared[view.name]
        counted = f"{changed.rows} of {compared} rows changed" if changed.rows <= compared else f"{changed.rows} rows came"
        why = (
            f"For {keys} at {_shown(changed.event_timestamp)}, {changed.feature.feature} was {_values(changed.before)}, and is "
            f"{_values(changed.after)} since {when}; {counted}."
        )
        return Finding(
            rule=rule.id,
            severity=rule.severity,
            views=(view.name,),
            features=(changed.feature,),
            model=node.view_name,
            file=self.lineage.manifest.located(node.original_file_path, node.package_name),
            line=self._line(node, _proved(view).features[changed.feature.feature]),
            expression="",
            why=why,
            mend=_MEND[rule.id],
        )

    def _line(self, node: Node, name: str) -> int | None:
        """Of the model's file: where its SQL makes that column. None where that cannot be told."""
        model = CheckedModel(self.lineage, node, self.folder)
        projections = model.query.root.projections if model.query is not None else ()
        made = next((each.expression for each in projections if each.name.casefold() == name.casefold()), None)
        if made is None or model.compiled is None or not any("start" in part.meta for part in made.walk()):
            return None
        place = model.source.place(made, model.compiled)
        return None if place.compiled else place.line


_MEND = {
    proved_leak.RULE.id: "Make it of rows up to its own event timestamp only, or say with available_after when a row is complete.",
    proved_chance.RULE.id: "Take the clock, chance, or an order that is not unique out of what it is made of.",
}


def _snapshot_column(node: Node, own: str) -> str:
    """What a snapshot calls a column that dbt adds."""
    return (node.config.snapshot_meta_column_names or {}).get(own) or own


def _stored(columns: Sequence[Column], name: str) -> str | None:
    return next((each.stored_name for each in columns if each.stored_name.casefold() == name.casefold()), None)


def _tested(test: TestNode) -> object:
    return ((test.test_metadata.kwargs if test.test_metadata else None) or {}).get("column_name")


def _is_unique_test(test: TestNode) -> bool:
    return test.test_metadata is not None and test.test_metadata.name == "unique"


def _proved(view: FeatureView) -> ProvedView:
    columns: dict[str, str] = {}
    for feature in view.features:
        if feature.aggregation is None:
            columns[feature.name] = feature.stored_name
        elif feature.aggregation.column is not None:
            columns[feature.name] = feature.aggregation.column.stored_name
        else:
            columns[feature.name] = view.event_timestamp.stored_name
    keys = tuple(key.stored_name for key in view.join_keys)
    return ProvedView(view.name, view.relation, keys, view.event_timestamp, columns, view.available_after)


def _copy(database: Path, copy: Path) -> None:
    """Copy a DuckDB file, with what its write-ahead log holds."""
    try:
        duckdb.connect(str(database), read_only=True).close()
    except duckdb.Error as error:
        raise RequestError(f"{database} cannot be read, so it cannot be copied: {error}") from None
    for suffix in ("", ".wal"):
        path = database.with_name(database.name + suffix)
        if path.exists():
            shutil.copyfile(path, copy.with_name(copy.name + suffix))


def _shown(instant: object) -> str:
    return str(instant).replace("+00:00", "Z")


def _values(values: tuple[Any, ...]) -> str:
    if not values:
        return "no row"
    return ", ".join("null" if value is None else str(value) for value in values[:3])
