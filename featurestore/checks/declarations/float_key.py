"""A join key is a float.

Equal numbers must be equal keys, and floats that look equal are not: 0.1 + 0.2 is not 0.3, -0.0 and 0.0 are two texts, and each engine
writes long ones in its own way. A lookup then misses, online or in training, and nobody sees why. Every other command refuses such a view.
Cast the key in the model: to a whole number, an exact decimal, or text.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project
from featurestore.registry.value_types import FloatType

RULE = Rule("float_key", "A join key is a float", Severity.ERROR)


def find(project: Project) -> Iterator[Declared]:
    """Each join key that is one."""
    for view in project.registry.views:
        for key in view.join_keys:
            if isinstance(key.value_type, FloatType):
                yield Declared(
                    view.unique_id,
                    view.name,
                    frozenset(),
                    f"{key.name}: {key.value_type}",
                    f"{key.name!r} is a float, and floats that look equal need not be equal, so that lookups miss.",
                    f"Cast {key.name!r} in the model to a whole number, an exact decimal or text.",
                )
