"""Draws what growth.py measured: time for each row, and peak memory, as the rows grow. Plain SVG, made of nothing but text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

WIDTH, HEIGHT, LEFT, TOP = 420, 260, 60, 60
COLORS = {("duckdb", "training"): "#c77700", ("duckdb", "materialize"): "#f2b134"}
COLORS |= {("spark", "training"): "#1f5fa8", ("spark", "materialize"): "#6fa8dc"}


class Measured(Protocol):
    """One run."""

    engine: str
    job: str
    rows: int
    peak_mb: int

    @property
    def microseconds_per_row(self) -> float: ...


def chart(runs: Sequence[Measured]) -> str:
    """Two panels side by side, one line for each engine and job."""
    width = 2 * (WIDTH + LEFT) + 40
    height = TOP + HEIGHT + 100
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_panel(runs, LEFT, "Processor microseconds for each feature row", lambda run: run.microseconds_per_row),
        *_panel(runs, 2 * LEFT + WIDTH + 20, "Peak memory of all processes, MB", lambda run: run.peak_mb),
        *_legend(runs),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(runs: Sequence[Measured], left: float, title: str, value: Callable[[Measured], float]) -> list[str]:
    values, counts = [value(run) for run in runs], sorted({run.rows for run in runs})
    low, high = _decades(values)
    first, last = math.log10(counts[0]), math.log10(counts[-1])

    def x(rows: float) -> float:
        return left + WIDTH * (0.5 if first == last else (math.log10(rows) - first) / (last - first))

    def y(measured: float) -> float:
        return TOP + HEIGHT * (high - math.log10(measured)) / (high - low)

    parts = [f'<text x="{left}" y="{TOP - 20}" font-weight="bold">{title}</text>']
    for decade in range(low, high + 1):
        level = y(10**decade)
        parts.append(f'<line x1="{left}" y1="{level:.1f}" x2="{left + WIDTH}" y2="{level:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{level + 4:.1f}" text-anchor="end">{10.0**decade:,g}</text>')
    parts += [f'<text x="{x(rows):.1f}" y="{TOP + HEIGHT + 20}" text-anchor="middle">{rows / 1e6:g}M rows</text>' for rows in counts]
    for (engine, job), color in COLORS.items():
        line = sorted((run.rows, value(run)) for run in runs if (run.engine, run.job) == (engine, job))
        points = " ".join(f"{x(rows):.1f},{y(measured):.1f}" for rows, measured in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>')
        for rows, measured in line:
            parts.append(f'<circle cx="{x(rows):.1f}" cy="{y(measured):.1f}" r="3.5" fill="{color}"/>')
            parts.append(f'<text x="{x(rows):.1f}" y="{y(measured) - 8:.1f}" text-anchor="middle" fill="{color}">{measured:,.3g}</text>')
    return parts


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return (low, high) if low < high else (low, low + 1)


def _legend(runs: Sequence[Measured]) -> list[str]:
    parts, place = [], LEFT
    for engine, job in sorted({(run.engine, run.job) for run in runs}):
        parts.append(f'<rect x="{place}" y="{TOP + HEIGHT + 50}" width="14" height="14" fill="{COLORS[engine, job]}"/>')
        parts.append(f'<text x="{place + 20}" y="{TOP + HEIGHT + 62}">{engine}, {job}</text>')
        place += 170
    return parts
