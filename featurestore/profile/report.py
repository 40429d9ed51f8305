"""What a profile found, for machines: one row for each feature, as an Arrow table and as rows of a table in the warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlglot import exp

from featurestore.arrow import arrow_type
from featurestore.errors import RequestError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP
from featurestore.sql.column_types import column_type
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import named, null_of
from featurestore.sql.profile import PROBABILITIES
from featurestore.warehouse.base import Warehouse

from .statistics import FeatureProfile, FeatureStatistics, ProfileReport

COLUMNS = (
    Column("profiled_at", TIMESTAMP),
    Column("feature_view", STRING),
    Column("feature", STRING),
    Column("value_type", STRING),
    Column("profile_of", STRING),
    Column("compared_with", STRING),
    Column("row_count", INT64),
    Column("null_count", INT64),
    Column("not_finite_count", INT64),
    Column("distinct_count", INT64),
    Column("distinct_by", STRING),
    Column("minimum", STRING),
    Column("maximum", STRING),
    Column("mean", FLOAT64),
    Column("stddev", FLOAT64),
    *(Column(f"p{round(100 * p):02}", FLOAT64) for p in PROBABILITIES),
    Column("histogram", STRING),
    Column("top_values", STRING),
    Column("baseline_row_count", INT64),
    Column("baseline_null_count", INT64),
    Column("baseline_mean", FLOAT64),
    Column("psi", FLOAT64),
    Column("jensen_shannon", FLOAT64),
    Column("drifted", BOOLEAN),
)
"""`histogram` is a JSON list of [above, up to, rows], `top_values` one of [value, rows]. Instants are UTC."""


def to_arrow(report: ProfileReport) -> pa.Table:
    """One row for each feature."""
    schema = pa.schema([(each.name, arrow_type(each.value_type)) for each in COLUMNS])
    return pa.Table.from_pylist(list(_rows(report)), schema)


def append_to_table(report: ProfileReport, warehouse: Warehouse, target: Relation) -> int:
    """Add the rows to a table of the warehouse, which is made where there is none; return how many.

    Raises RequestError where there is a table of that name with other columns.
    """
    rows = to_arrow(report)
    there = warehouse.describe([target]).get(target)
    if there is not None and not {each.name for each in COLUMNS} <= {each.name.lower() for each in there}:
        missing = ", ".join(sorted({each.name for each in COLUMNS} - {each.name.lower() for each in there}))
        raise RequestError(f"{target} is no table of profiles: it has no {missing}. Choose another name.")
    dialect = dialect_named(warehouse.dialect)
    with warehouse.session(read_only=False) as session:
        if there is None:
            nothing = (named(null_of(column_type(each.value_type, dialect)), each.name) for each in COLUMNS)
            session.create_table(target, exp.select(*nothing).where(exp.false()))
        session.append(target, rows.to_reader())
    return len(report.features)


def _rows(report: ProfileReport) -> Iterator[dict[str, Any]]:
    for each in report.features:
        yield {**_header(report, each), **_statistics(each.current), **_comparison(each)}


def _header(report: ProfileReport, each: FeatureProfile) -> dict[str, Any]:
    return {
        "profiled_at": _naive(report.at),
        "feature_view": each.reference.view,
        "feature": each.reference.feature,
        "value_type": str(each.value_type),
        "profile_of": report.of,
        "compared_with": report.against,
        "distinct_by": report.distinct_by if each.current.distinct is not None else None,
    }


def _statistics(of: FeatureStatistics) -> dict[str, Any]:
    quantiles = of.quantiles or {}
    return {
        "row_count": of.rows,
        "null_count": of.nulls,
        "not_finite_count": of.not_finite,
        "distinct_count": of.distinct,
        "minimum": _text(of.minimum),
        "maximum": _text(of.maximum),
        "mean": of.mean,
        "stddev": of.stddev,
        **{f"p{round(100 * p):02}": quantiles.get(p) for p in PROBABILITIES},
        "histogram": None if of.histogram is None else json.dumps([[bin.above, bin.up_to, bin.rows] for bin in of.histogram]),
        "top_values": None if of.top_values is None else json.dumps(of.top_values, ensure_ascii=False),
    }


def _comparison(each: FeatureProfile) -> dict[str, Any]:
    baseline, drift = each.baseline, each.drift
    return {
        "baseline_row_count": baseline.rows if baseline else None,
        "baseline_null_count": baseline.nulls if baseline else None,
        "baseline_mean": baseline.mean if baseline else None,
        "psi": drift.psi if drift else None,
        "jensen_shannon": drift.jensen_shannon if drift else None,
        "drifted": bool(drift.past) if drift else None,
    }


def _text(value: object) -> str | None:
    return None if value is None else repr(value) if isinstance(value, float) else str(value)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)
