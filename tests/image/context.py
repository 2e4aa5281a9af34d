"""What a build may see: the files of a folder that its ``.dockerignore`` lets through."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e2b_dockerfile_utils import PatternMatcher


@dataclass(frozen=True, slots=True)
class Context:
    """A folder and the rules of its ``.dockerignore``."""

    folder: Path
    ignored: PatternMatcher

    def files(self, under: str = ".") -> list[str]:
        """Paths below ``under``, or itself. Raises FileNotFoundError when nothing is let through."""
        top = os.path.normpath(under)
        found = [path for path in self._walk("") if top in (".", path) or path.startswith(f"{top}/")]
        if not found:
            raise FileNotFoundError(f"{under} is not in the build context")
        return sorted(found)

    def _walk(self, folder: str) -> Iterator[str]:
        for entry in os.scandir(self.folder / folder):
            path = f"{folder}/{entry.name}".lstrip("/")
            is_out = self.ignored.matches(path)
            if entry.is_dir(follow_symlinks=False):
                if not is_out or self.ignored.may_match_under(path):
                    yield from self._walk(path)
            elif not is_out:
                yield path


def context_of(folder: Path, rules: str) -> Context:
    return Context(folder, PatternMatcher(rules.splitlines()))
