"""What the probe found, as a table for a person and as JSON for a script. Says nothing that is secret."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from broker.minting.outcomes import MISCONFIGURED, Verdict
from broker.probing.advice import Names, advice, best, most_useful
from broker.probing.asking import Finding
from broker.probing.checks import Check, Level

WIDTH = 120
HEADINGS = ("domain", "strategy", "dialect", "credential", "status", "ms", "verdict", "do")
NUMBERS = frozenset(["status", "ms"])
GREEN, YELLOW, RED, PLAIN = "\x1b[32m", "\x1b[33m", "\x1b[31m", "\x1b[0m"
COLOURS = {Level.OK: GREEN, Level.UNKNOWN: YELLOW, Level.WARNING: YELLOW, Level.FAULT: RED}


@dataclass(frozen=True, slots=True)
class CallReport:
    """One call that was tried: how far it came, how long each step took, and what to do when it broke off."""

    completed: bool
    row: str
    ms: dict[str, int] = field(default_factory=dict)
    words: int = 0
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run found. ``call`` is None unless one was asked for and a row minted."""

    findings: Sequence[Finding]
    checks: Sequence[Check]
    names: Names
    call: CallReport | None = None

    @property
    def works(self) -> bool:
        """Whether a token comes, and the call went through if one was made."""
        return best(self.findings) is not None and (self.call is None or self.call.completed)

    @property
    def summary(self) -> str:
        """The last line: the best way, or the most useful mend."""
        winner = best(self.findings)
        if winner is None:
            return f"NO TOKEN: {advice(most_useful(self.findings), self.names)}"
        if self.call is not None and not self.call.completed:
            return f"TOKEN, BUT NO CALL: {self.call.advice}"
        ways = sum(finding.minted for finding in self.findings)
        note = advice(winner, self.names)
        return f"OK: {winner.row.name} mints in {winner.ms} ms; {ways} of {len(self.findings)} ways work" + (
            f"; {note}" if note else ""
        )

    def as_json(self) -> dict[str, Any]:
        winner = best(self.findings)
        return {
            "works": self.works,
            "best": winner.row.name if winner else None,
            "summary": self.summary,
            "rows": [_as_json(finding, self.names) for finding in self.findings],
            "checks": [asdict(check) for check in self.checks],
            "call": asdict(self.call) if self.call else None,
        }

    def lines(self, *, colours: bool) -> Iterator[str]:
        """The table, the advice it points at, the checks, the call, the summary."""
        notes = list(dict.fromkeys(note for found in self.findings if (note := advice(found, self.names))))
        yield from _table(self.findings, [self._pointer(found, notes) for found in self.findings], colours)
        yield ""
        for number, note in enumerate(notes, 1):
            yield from _wrapped(f"[{number}] ", note)
        yield from [""] * bool(notes)
        for check in self.checks:
            yield from _check_lines(check, colours)
        if self.call is not None:
            yield from _call_lines(self.call, colours)
        yield ""
        yield _painted(self.summary, GREEN if self.works else RED, colours)  # one line, for who greps

    def _pointer(self, finding: Finding, notes: Sequence[str]) -> str:
        note = advice(finding, self.names)
        return f"[{notes.index(note) + 1}]" if note else ""


def _as_json(finding: Finding, names: Names) -> dict[str, Any]:
    row, said = finding.row, finding.heard
    return {
        "row": row.name,
        "domain": row.domain.name,
        "strategy": row.strategy.label,
        "dialect": row.dialect.name,
        "credential": row.credential.name,
        "endpoint": row.endpoint,
        "model": row.domain.model,
        "status": finding.status,
        "ms": finding.ms,
        "verdict": finding.verdict or "minted",
        "cause": finding.cause or None,
        "code": (said.code if said else "") or None,
        "request_id": said.request_id if said else None,
        "retry_after_s": finding.retry_after_s,
        "left_out": sorted(finding.left_out),
        "advice": advice(finding, names) or None,
    }


def _table(findings: Sequence[Finding], pointers: Sequence[str], colours: bool) -> Iterator[str]:
    cells = [_cells(finding, pointer) for finding, pointer in zip(findings, pointers, strict=True)]
    widths = [max(len(row[place]) for row in [HEADINGS, *cells]) for place in range(len(HEADINGS))]
    yield _line(HEADINGS, widths)
    yield _line(["-" * width for width in widths], widths)
    for finding, row in zip(findings, cells, strict=True):
        yield _painted_verdict(_line(row, widths), finding, colours)


def _cells(finding: Finding, pointer: str) -> tuple[str, ...]:
    row = finding.row
    shape = (row.domain.name, row.strategy.label, row.dialect.name, row.credential.name)
    status = "-" if finding.status is None else str(finding.status)
    return (*shape, status, str(finding.ms), finding.verdict or "minted", pointer)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (
        cell.rjust(width) if heading in NUMBERS else cell.ljust(width)
        for heading, cell, width in zip(HEADINGS, cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _painted_verdict(line: str, finding: Finding, colours: bool) -> str:
    verdict = finding.verdict or "minted"
    passes = finding.verdict is not None and finding.verdict not in {*MISCONFIGURED, Verdict.NOT_READY}
    colour = GREEN if finding.minted else YELLOW if passes else RED
    head, _, tail = line.rpartition(verdict)
    return f"{head}{_painted(verdict, colour, colours)}{tail}"


def _check_lines(check: Check, colours: bool) -> Iterator[str]:
    where = f"{check.domain}: " if check.domain else ""
    first, *rest = _wrapped(f"{check.level:<9}{check.name:<15}", f"{where}{check.text}")
    yield first.replace(check.level, _painted(check.level, COLOURS[check.level], colours), 1)
    yield from rest


def _call_lines(call: CallReport, colours: bool) -> Iterator[str]:
    steps = ", ".join(f"{step} {ms} ms" for step, ms in call.ms.items()) or "it never began"
    heard = f"; {call.words} words heard" if call.words else ""
    yield from _check_lines(
        Check("call", Level.OK if call.completed else Level.FAULT, f"{call.row}: {steps}{heard}"), colours
    )


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=label,
        subsequent_indent=" " * len(label),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _painted(text: str, colour: str, colours: bool) -> str:
    return f"{colour}{text}{PLAIN}" if colours else text
