"""Leaks shown by experiment: source rows later than a cut are changed, the models built again, and what was true before compared."""

from . import proved_chance, proved_leak

__all__ = ["proved_chance", "proved_leak"]
