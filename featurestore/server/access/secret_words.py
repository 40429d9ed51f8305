"""What a key or a token looks like in a text, wherever it was put by mistake."""

from __future__ import annotations

import re

_SECRET = re.compile(r"fsdbt_[0-9A-Za-z_-]+|eyJ[0-9A-Za-z_-]*\.[0-9A-Za-z_.-]+|(?i:(?<=bearer )|(?<=basic ))[0-9A-Za-z._~+/=-]{8,}")


def without_secrets(text: str) -> str:
    """The text with all that looks like one taken out: for whatever repeats words of a request."""
    return _SECRET.sub("…", text)
