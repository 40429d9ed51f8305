"""Which line of a YAML file declares a model: the one that names it, as far out as any that does, for a column may have its name."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path


def declared_line(folder: Path | None, file: str, name: str) -> int | None:
    """From 1 on. Of a model that its own SQL declares: the line of `feature_view`. None where the file does not show it."""
    text = "" if folder is None else _read(folder / file)
    if not file.endswith((".yml", ".yaml")):
        at = text.find("feature_view")
        return text.count("\n", 0, at) + 1 if at >= 0 else None
    said = rf"""(?P<indent>[ \t]*)(?:-[ \t]+\{{?[ \t]*)?name:[ \t]*['"]?{re.escape(name)}['"]?[ \t]*(?=[,}}#\n]|$)"""
    found = min(re.finditer(rf"(?:^|(?<=\n)){said}", text), key=lambda match: len(match["indent"]), default=None)
    return None if found is None else text.count("\n", 0, found.start()) + 1


@lru_cache(maxsize=256)
def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
