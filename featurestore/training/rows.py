"""Two streams that hold the same rows are laid beside each other in parts that neither has to be copied for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass
class Rows:
    """The rows of a stream, as many at a time as asked for at most."""

    batches: Iterator[pa.RecordBatch]
    rest: pa.RecordBatch | None = field(default=None, init=False)

    def next(self, at_most: int) -> pa.RecordBatch | None:
        """The next of them, at least one; None where there are none left."""
        while self.rest is None or self.rest.num_rows == 0:
            self.rest = next(self.batches, None)
            if self.rest is None:
                return None
        found, self.rest = self.rest.slice(0, at_most), self.rest.slice(at_most)
        return found
