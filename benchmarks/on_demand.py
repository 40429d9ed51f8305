"""What features on demand cost a request: a few expressions over rows of Python values, beside one list comprehension that divides floats.

    python benchmarks/on_demand.py

Processor time, the median of thirty rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from featurestore.registry.registry import RequestInput
from featurestore.registry.value_types import BOOLEAN, FLOAT64, STRING, TIMESTAMP, DecimalType, ValueType
from featurestore.serving.inputs import typed_inputs
from featurestore.serving.on_demand import RequestRows, compiled
from featurestore.sql.on_demand.grammar import parse_expression

FEATURES: dict[str, ValueType] = {"mean": FLOAT64, "member": BOOLEAN, "name": STRING, "seen": TIMESTAMP}
INPUTS: dict[str, ValueType] = {"amount": DecimalType(10, 2)}
VALUES: dict[str, Any] = {"mean": 1.5, "member": True, "name": "Abc", "seen": datetime(2023, 1, 1), "amount": Decimal("12.50")}
EXPRESSIONS = {
    "ratio": "amount / nullif(mean, 0)",
    "case": "case when amount > 10 * coalesce(mean, 0) and member then 'high' when mean < 0.5 then 'low' else lower(name) end",
    "days": "date_diff('day', seen, requested_at)",
}
ROUNDS = 30


def micros(work: Callable[[], object], rows: int) -> float:
    """Microseconds of the processor for one call."""
    calls, found = max(1, 2_000 // rows), []
    for _ in range(ROUNDS):
        began = time.process_time_ns()
        for _ in range(calls):
            work()
        found.append((time.process_time_ns() - began) / calls / 1_000)
    return statistics.median(found)


def main() -> None:
    """Print a line for each expression and number of rows."""
    print(f"{'rows':>5} {'':>8} {'microseconds':>13} {'times floor':>12}")
    for rows in (1, 100, 1_000):
        columns = {name: [value] * rows for name, value in VALUES.items()}
        request = RequestRows(rows, datetime(2024, 1, 1), columns, columns)
        pairs = [(12.5, 1.5)] * rows
        floor = micros(lambda pairs=pairs: [left / right if right else None for left, right in pairs], rows)  # type: ignore[misc]
        needed = [RequestInput("amount", INPUTS["amount"], "spend:ratio")]
        lines = {name: compiled(parse_expression(text, FEATURES, INPUTS, {}).tree) for name, text in EXPRESSIONS.items()}
        for name, work in lines.items():
            cost = micros(lambda work=work, request=request: work(request), rows)  # type: ignore[misc]
            print(f"{rows:>5} {name:>8} {cost:>13.1f} {cost / floor:>12.1f}")
        cost = micros(lambda needed=needed, columns=columns: typed_inputs(needed, columns), rows)  # type: ignore[misc]
        print(f"{rows:>5} {'inputs':>8} {cost:>13.1f} {cost / floor:>12.1f}")


if __name__ == "__main__":
    main()
