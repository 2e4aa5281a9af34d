"""What a command came to, its exit code, and how both are told: lines for a person, JSON for a script."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

EXIT_CODES = """\
exit codes:
  0    done, and nothing is wrong
  1    something is wrong (verify), there is no such thing, or the answer was no
  2    these words make no command, or nobody is there to say yes (--yes)
  3    erased here, but memory has still to confirm: ask again
  75   the service has the file open, or storage cannot be used now
  78   the settings do not hold, or name a place where there is no outbox
  130  interrupted

An id that begins with a dash goes behind two of them: show -- -an-id
"""


class Exit(IntEnum):
    """How a command ends; see `EXIT_CODES`."""

    DONE = 0
    NOT_DONE = 1
    USAGE = 2
    TO_CONFIRM = 3
    NOT_NOW = 75
    CONFIGURATION = 78
    INTERRUPTED = 130


class NotDone(Exception):
    """The command ends here. The message says why, and what to do."""

    def __init__(self, text: str, code: Exit = Exit.NOT_DONE) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Answer:
    """What is told on standard output: the lines, or with ``--json`` the other form. ``notes``: beside it."""

    as_json: Any
    lines: Sequence[str]
    code: Exit = Exit.DONE
    notes: Sequence[str] = ()

    def tell(self, *, as_json: bool) -> None:
        text = json.dumps(self.as_json, indent=2) if as_json else "\n".join(self.lines)
        if text:
            write(f"{text}\n")
        if not as_json:
            note(*self.notes)


def write(text: str) -> None:
    """To standard output; what its encoding lacks is written as escapes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(text)
    sys.stdout.flush()


def note(*lines: str) -> None:
    """To standard error, so that what is read by a script stays clean."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201 - what it is for


def nobody_reads() -> None:
    """After a broken pipe (``… | head``): what Python still wants to flush at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
