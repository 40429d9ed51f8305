"""An answer as an Arrow stream. Arrow is imported when the first caller asks for it: only such a worker pays for it, in memory too."""

from __future__ import annotations

import asyncio
import importlib

from featurestore.serving.online_features import OnlineFeatures

from .http import HttpError


async def arrow_stream(answer: OnlineFeatures, statuses: bool, event_timestamps: bool) -> bytes:
    """The values with their declared types; for each feature also `<feature>.status` and `<feature>.event_timestamp` where wanted."""
    # Not on the loop: importing Arrow the first time takes as long as a hundred requests.
    await asyncio.to_thread(importlib.import_module, "pyarrow")
    import pyarrow as pa

    try:
        table = answer.to_arrow()
    except (pa.ArrowException, OverflowError) as error:
        # The features have their declared types; only what passes through may have none.
        raise HttpError(422, "not_representable", f"A column of the entity rows fits no Arrow type: {error}.") from None
    if statuses:
        for name, values in answer.statuses().items():
            codes = pa.array([status.value for status in values], pa.string()).dictionary_encode()
            table = table.append_column(f"{name}.status", codes)
    if event_timestamps:
        for name, instants in answer.event_timestamps().items():
            table = table.append_column(f"{name}.event_timestamp", pa.array(instants, pa.timestamp("us", "UTC")))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    stream_bytes: bytes = sink.getvalue().to_pybytes()
    return stream_bytes
