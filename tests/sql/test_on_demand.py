"""An expression answers in the warehouse's SQL what it answers on the serving path, to the last bit, on random expressions and rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from asking import Asked
from expressions import FEATURES, INPUTS, Rows, expressions, some_rows, spelled
from hypothesis import strategies as st
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, for_all, of_its_own, opened

from featurestore.arrow import arrow_type, conformed
from featurestore.registry.expressions import Expression, OnDemand, Operation
from featurestore.serving.on_demand import RequestRows, compiled
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import ascending, column, named, table
from featurestore.sql.on_demand.build import expression_sql
from featurestore.sql.on_demand.grammar import parse_expression

RULES = (Path(__file__).resolve().parents[2] / "docs/reference/on-demand.md").read_text(encoding="utf-8")
EXAMPLES = [(text.replace("\\|", "|"), answer) for text, answer in re.findall(r"^\| `([^`]+)` \| `([^`]+)` \| ", RULES, re.MULTILINE)]
pytestmark = pytest.mark.parametrize("warehouse_name", of_its_own(), indirect=True)


@pytest.fixture(scope="module")
def asked(running: RunningWarehouse, warehouse_name: str) -> Iterator[Asked]:
    warehouse = opened(running)
    with warehouse.session() as session:
        yield Asked(session, dialect_named(warehouse.dialect), WAREHOUSES[warehouse_name].examples)


def answered(asked: Asked, made: Sequence[OnDemand], rows: Rows) -> list[list[object]]:
    """What the warehouse answers, expression by expression."""
    asked.session.upload("rows_asked", rows.table().to_reader())

    def leaf(node: Expression) -> exp.Expression:
        return column("requested_at" if node.operation is Operation.REQUESTED_AT else node.text or "")

    outputs = [named(expression_sql(each.tree, leaf, asked.dialect), f"answer_{place}") for place, each in enumerate(made)]
    query = exp.select(*outputs).from_(table("rows_asked")).order_by(ascending(column("place")))
    found = asked.session.query(query).read_all()
    return [
        [
            spelled(value)
            for value in pa.chunked_array([conformed(chunk, arrow_type(each.tree.value_type)) for chunk in answers.chunks]).to_pylist()
        ]
        if answers.num_chunks
        else []
        for each, answers in zip(made, found.columns, strict=True)
    ]


def served(made: OnDemand, rows: Rows) -> list[object]:
    """What the serving path answers, each row asked about at its own instant."""
    work = compiled(made.tree)
    answers = []
    for place, instant in enumerate(rows.requested_at):
        row = {name: [values[place]] for name, values in rows.columns.items()}
        answers += work(RequestRows(1, instant, row, row))
    return [spelled(value) for value in answers]


def test_both_roads_answer_the_same_to_the_last_bit(asked: Asked) -> None:
    @for_all(asked.examples // 2, made=st.lists(expressions(), min_size=1, max_size=6), rows=some_rows())
    def _(made: list[OnDemand], rows: Rows) -> None:
        for each, answers in zip(made, answered(asked, made, rows), strict=True):
            assert answers == served(each, rows), each.expression


def test_every_example_in_the_reference_is_what_both_roads_answer(asked: Asked) -> None:
    made = [parse_expression(text, {}, {}, {}) for text, _ in EXAMPLES]
    row = Rows({name: [None] for name in (*FEATURES, *INPUTS)}, [datetime(2024, 1, 1)])
    found = answered(asked, made, row)
    assert len(made) > 50
    for (text, answer), each, answers in zip(EXAMPLES, made, found, strict=True):
        (value,) = compiled(each.tree)(RequestRows(1, row.requested_at[0], {}, {}))
        assert answers == [spelled(value)], text
        assert written(value) == answer, text


def written(value: object) -> str:
    """As the reference writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else str(value)
