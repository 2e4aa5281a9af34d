"""The lines of an audit as they are stored, for checking: of a file, a folder or a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from broker.edge.audit.verifying import Place

LONGEST_LINE = 64 * 1024


def files_of(path: Path) -> Sequence[Path]:
    """The files of a folder, those of one chain after the other; of a file, all parts of its chain."""
    if path.is_dir():
        return sorted(path.glob("*.jsonl"), key=lambda file: (chain_of(file), file.name))
    if not path.is_file():
        raise FileNotFoundError(path)
    return sorted(path.parent.glob(f"{chain_of(path)}.*jsonl"))


def chain_of(path: Path) -> str:
    return path.name.split(".")[0]


def places_in_files(files: Iterable[Path]) -> Iterator[Place]:
    """Raises OSError."""
    for file in files:
        for number, text in enumerate(_lines(file), 1):
            yield Place(chain_of(file), file.name, number, text.removesuffix(b"\n"), text.endswith(b"\n"))


def places_in_rows(rows: Iterable[tuple[str, bytes]]) -> Iterator[Place]:
    """Rows are numbered within their chain, as they are found."""
    last, number = "", 0
    for chain, text in rows:
        last, number = chain, number + 1 if chain == last else 1
        yield Place(chain, f"chain {chain}", number, text)


def anchor_lines(path: Path) -> Iterator[bytes]:
    """Of a file, or of every file of a folder. Raises OSError."""
    if not path.exists():
        raise FileNotFoundError(path)
    for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
        yield from _lines(file)


def _lines(file: Path) -> Iterator[bytes]:
    """With their line breaks; one that is too long to be one comes in pieces without."""
    with file.open("rb") as opened:
        yield from iter(lambda: opened.readline(LONGEST_LINE), b"")
