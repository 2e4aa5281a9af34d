"""Asking before something is done that cannot be undone."""

from __future__ import annotations

import signal
import sys

from enrichment.operating.answer import Exit, NotDone


def confirm(question: str, *, yes: bool) -> None:
    """Returns when the answer is yes, or was given before. Raises `NotDone`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotDone(f"{question} Nobody is here to answer: say --yes.", Exit.USAGE)
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if _line().strip().lower() not in {"y", "yes"}:
        raise NotDone("Nothing was changed.")


def _line() -> str:
    """One line of the terminal. Ctrl-C ends the wait at once; asyncio's own way would first want the line."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
