"""The files in ``bicep/``, and copies with one thing changed, for checks that must be able to fail."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.bicep.reader import read
from tests.bicep.tree import File

ROOM = Path(__file__).parent.parent.parent / "bicep"
MAIN = "main.bicep"
ENVIRONMENTS = ("staging", "development", "test", "uat", "production")

Sources = Mapping[str, str]
Files = Mapping[str, File]


@cache
def sources() -> Sources:
    """Path in ``bicep/`` -> what the file says."""
    return {str(path.relative_to(ROOM)): path.read_text() for path in sorted(ROOM.rglob("*.bicep*"))}


def parsed(given: Sources | None = None) -> Files:
    return {path: read(text, path) for path, text in (given or sources()).items()}


def changed(path: str, old: str, new: str) -> Files:
    """The files with ``old`` replaced once in one of them, in memory."""
    text = sources()[path]
    assert old in text, f"{path} says nothing of {old!r}"
    return parsed({**sources(), path: text.replace(old, new, 1)})


def parameters_of(environment: str) -> str:
    return f"env/{environment}.bicepparam"


def beside(path: str, other: str) -> str:
    """The path in ``bicep/`` of what ``path`` calls ``other``."""
    parts: list[str] = []
    for part in [*path.split("/")[:-1], *other.split("/")]:
        if part == "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts)
