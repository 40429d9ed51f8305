"""What `meta.on_demand` may say beside `meta.feature_view`, and the features that it becomes.

Inputs have a name and a type, features a name and an expression over inputs and the view's own features. As everywhere, every wrong word
is reported with the nearest right one, and reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from featurestore.errors import UnsupportedTypeError, did_you_mean
from featurestore.registry.definitions import Feature
from featurestore.registry.expressions import REQUESTED_AT, OnDemand
from featurestore.registry.value_types import IntegerType, ValueType
from featurestore.sql.types import parse_data_type

from .problems import Report

ON_DEMAND = "meta.on_demand"
ON_DEMAND_KEYS = ("inputs", "features")
FEATURE_KEYS = ("expression", "data_type", "description", "tags")
_NAME = re.compile(r"[^\W\d]\w*")
_FORM = 'Write it like `features: {amount_ratio: "amount / nullif(avg_amount_7d, 0)"}`'


@dataclass(frozen=True, slots=True)
class ExpressionDeclaration:
    """One feature on demand, as it is declared."""

    name: str
    expression: str
    data_type: str | None = None
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnDemandDeclaration:
    """What one model's `on_demand` says."""

    inputs: Mapping[str, str]
    """The type of each input, as written."""

    features: tuple[ExpressionDeclaration, ...]


def read_on_demand(said: object, report: Report) -> OnDemandDeclaration | None:
    """What a model declares on demand; None where it declares nothing."""
    if said is None:
        return None
    if not isinstance(said, Mapping):
        report(ON_DEMAND, f"must be a mapping. {_FORM}, not {said!r}.")
        return None
    for key in said:
        if key not in ON_DEMAND_KEYS:
            report(f"{ON_DEMAND}.{key}", f"there is no such key.{did_you_mean(str(key), ON_DEMAND_KEYS)}")
    features = said.get("features")
    if not isinstance(features, Mapping) or not features:
        report(f"{ON_DEMAND}.features", f"must map names to expressions. {_FORM}, not {features!r}.")
        return None
    return OnDemandDeclaration(dict(_inputs(said.get("inputs"), report)), tuple(_features(features, report)))


def _inputs(said: object, report: Report) -> Iterator[tuple[str, str]]:
    path = f"{ON_DEMAND}.inputs"
    if said is None:
        return
    if not isinstance(said, Mapping):
        report(path, f'must map names to types, like `inputs: {{amount: "decimal(10, 2)"}}`, not {said!r}.')
        return
    for name, data_type in said.items():
        if not _NAME.fullmatch(str(name)) or str(name).casefold() == REQUESTED_AT:
            why = "is the instant that is asked about" if str(name).casefold() == REQUESTED_AT else "use letters, digits and underscores"
            report(path, f"{name!r} cannot name an input: {why}.")
        elif not isinstance(data_type, str) or not data_type.strip():
            report(f"{path}.{name}", f"must be a type, like `double` or `decimal(10, 2)`, not {data_type!r}.")
        else:
            yield str(name), data_type


def _features(said: Mapping[str, Any], report: Report) -> Iterator[ExpressionDeclaration]:
    for name, entry in said.items():
        path = f"{ON_DEMAND}.features.{name}"
        if not _NAME.fullmatch(str(name)):
            report(f"{ON_DEMAND}.features", f"{name!r} cannot name a feature. Use letters, digits and underscores.")
            continue
        written = {"expression": entry} if isinstance(entry, str) else entry
        if not isinstance(written, Mapping):
            report(path, f"must be an expression, or a mapping that has one. {_FORM}, not {entry!r}.")
            continue
        for key in written:
            if key not in FEATURE_KEYS:
                report(f"{path}.{key}", f"there is no such key.{did_you_mean(str(key), FEATURE_KEYS)}")
        expression, data_type = written.get("expression"), written.get("data_type")
        if not isinstance(expression, str) or not expression.strip():
            report(f"{path}.expression", f'must be a text, like "amount / nullif(avg_amount_7d, 0)", not {expression!r}.')
            continue
        if data_type is not None and not isinstance(data_type, str):
            report(f"{path}.data_type", f"must be a type, like `double`, not {data_type!r}.")
            data_type = None
        yield ExpressionDeclaration(str(name), expression, data_type, _description(written, path, report), _tags(written, path, report))


def _description(written: Mapping[str, Any], path: str, report: Report) -> str:
    said = written.get("description")
    if said is None or isinstance(said, str):
        return (said or "").strip()
    report(f"{path}.description", f"must be a text, not {said!r}.")
    return ""


def _tags(written: Mapping[str, Any], path: str, report: Report) -> tuple[str, ...]:
    said = written.get("tags")
    listed = [said] if isinstance(said, str) else said or []
    if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed):
        return tuple(sorted(set(listed)))
    report(f"{path}.tags", f"must be a list of texts, not {said!r}.")
    return ()


def on_demand_features(
    said: OnDemandDeclaration, features: tuple[Feature, ...], others: Mapping[str, str], is_open: bool, dialect: str, report: Report
) -> tuple[Feature, ...]:
    """The features that it becomes.

    Args:
        features: the view's own.
        others: why another column of the model cannot be named in an expression, by name.
        is_open: whether the view may have features that nobody knows of yet: any name is believed to be one.
        dialect: sqlglot's name of the SQL that types are written in.
    """
    inputs = _input_types(said, {feature.name.casefold() for feature in features}, others, dialect, report)
    types: dict[str, ValueType] = {feature.name: feature.value_type for feature in features}
    made = []
    for each in said.features:
        path = f"{ON_DEMAND}.features.{each.name}"
        if each.name.casefold() in {name.casefold() for name in (*types, *inputs, *others)}:
            report(path, f"there is a column or an input {each.name!r} already. Give the feature another name.")
            continue
        expression = _expression(each, types, inputs, others, is_open, dialect, report)
        if expression is not None:
            made.append(Feature(each.name, expression.tree.value_type, each.description, each.tags, on_demand=expression))
    if len(made) == len(said.features):
        used = {name for feature in made if feature.on_demand for name in feature.on_demand.inputs}
        for name in said.inputs:
            if name in inputs and name not in used:
                report(f"{ON_DEMAND}.inputs.{name}", "no expression needs it. Leave it out.")
    return tuple(made)


def _input_types(
    said: OnDemandDeclaration, features: set[str], others: Mapping[str, str], dialect: str, report: Report
) -> dict[str, ValueType]:
    # The SQL parser costs a listing half a second, so only a project with expressions pays for it.
    from featurestore.sql.on_demand.conversions import calculated_as

    columns = {name.casefold() for name in others}
    types = {}
    for name, data_type in said.inputs.items():
        path = f"{ON_DEMAND}.inputs.{name}"
        if name.casefold() in features | columns:
            report(path, f"the model has a column {name!r}, so that the name means two things. Give the input another one.")
            continue
        value_type = _parsed_type(data_type, dialect, path, report)
        if value_type is None:
            continue
        taken_as = calculated_as(value_type)
        if taken_as is None:
            report(path, f"is {value_type}, which no expression takes.")
            continue
        # What JSON and a dataframe can say of any other number or instant is no narrower than what is calculated with.
        types[name] = value_type if isinstance(value_type, IntegerType) and value_type.signed else taken_as
    return types


def _parsed_type(data_type: str, dialect: str, path: str, report: Report) -> ValueType | None:
    try:
        return parse_data_type(data_type, dialect)
    except UnsupportedTypeError as error:
        report(path, str(error))
        return None


def _expression(
    each: ExpressionDeclaration,
    features: Mapping[str, ValueType],
    inputs: Mapping[str, ValueType],
    others: Mapping[str, str],
    is_open: bool,
    dialect: str,
    report: Report,
) -> OnDemand | None:
    from featurestore.sql.on_demand.conversions import ExpressionError
    from featurestore.sql.on_demand.grammar import answered_as, parse_expression

    path = f"{ON_DEMAND}.features.{each.name}"
    try:
        expression = parse_expression(each.expression, features, inputs, others, believing=is_open)
    except ExpressionError as error:
        report(path, f"{each.expression!r}: {error}.")
        return None
    if each.data_type is None:
        return expression
    value_type = _parsed_type(each.data_type, dialect, f"{path}.data_type", report)
    if value_type is None:
        return None
    try:
        return answered_as(expression, value_type)
    except ExpressionError as error:
        report(f"{path}.data_type", f"{each.expression!r} is {expression.tree.value_type}: {error}.")
        return None
