"""``verify``: whether the outbox holds what it must, and memory can be read; with the mend of what is not."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

import apsw

from enrichment.memory.port import ForgottenLater, Unreachable
from enrichment.operating.answer import Answer, Exit, NotDone
from enrichment.operating.findings import Finding
from enrichment.operating.opening import open_memory, open_to_read
from enrichment.operating.progress import progress
from enrichment.operating.sqlite_checks import (
    DAMAGED,
    embedded_memory_finding,
    outbox_findings,
    remembered_finding,
)
from enrichment.operating.walking import sessions
from enrichment.operating.words import counted
from enrichment.outbox.port import StorageFailed
from enrichment.outbox.sqlite_reader import Readable, SqliteReader
from enrichment.settings import Settings

MEMORY_S = 20.0
NOBODY = "nobody"


async def verify(settings: Settings, _arguments: argparse.Namespace) -> Answer:
    with progress("Checking") as shown:
        findings = []
        async for finding in _all(settings):
            findings.append(finding)
            shown.advance()
    wrong = [finding for finding in findings if finding.count]
    told = {"ok": not wrong, "checks": [{"ok": not each.count, **asdict(each)} for each in findings]}
    last = f"WRONG: {counted(len(wrong), 'finding')}" if wrong else f"OK: {counted(len(findings), 'check')}"
    lines = [*(finding.line() for finding in findings), last]
    return Answer(told, lines, Exit.NOT_DONE if wrong else Exit.DONE)


async def _all(settings: Settings) -> AsyncIterator[Finding]:
    for finding in await _outbox(settings):
        yield finding
    yield await memory_finding(settings)


async def _outbox(settings: Settings) -> Sequence[Finding]:
    try:
        async with open_to_read(settings) as outbox:
            if isinstance(outbox, SqliteReader):
                return _of_files(settings, outbox.db)
            return await by_port(outbox)
    except NotDone as exc:
        if exc.code is not Exit.NOT_NOW:
            raise
        return [Finding("opening", "the outbox can be opened", 1, [str(exc.__cause__)], DAMAGED)]


def _of_files(settings: Settings, db: apsw.Connection) -> Sequence[Finding]:
    findings = [*outbox_findings(db)]
    if settings.memory_backend == "embedded" and settings.memory_path.exists():
        findings.append(remembered_finding(db, settings.memory_path))
    return findings


async def by_port(outbox: Readable) -> Sequence[Finding]:
    """What can be told of any engine: its database keeps its own files whole."""
    undue: list[str] = []
    kept: list[str] = []
    lost: list[str] = []
    async for line in sessions(outbox):
        if line.pending and line.due_at is None:
            undue.append(line.session_id)
        for entry in await outbox.entries(line.session_id):
            if entry.state == "delivered" and entry.text is not None:
                kept.append(entry.session_id)
            if entry.state != "delivered" and entry.text is None:
                lost.append(entry.session_id)
    mend = "Nothing of ours writes that: find out who else writes to the database."
    return [
        Finding("due", "every session with pending turns is due some time", len(undue), undue, mend),
        Finding("delivered-text", "no delivered turn has text", len(kept), kept, mend),
        Finding("pending-text", "every undelivered turn has text", len(lost), lost, mend),
    ]


async def memory_finding(settings: Settings) -> Finding:
    """Whether memory can be read, whichever it is."""
    if settings.memory_backend == "embedded":
        return embedded_memory_finding(settings.memory_path)
    name, fact = "memory", f"the memory {settings.memory_backend} can be read"
    mend = "Is it up, and do its address and key hold? Turns wait in the outbox meanwhile."
    try:
        async with open_memory(settings) as memory, asyncio.timeout(MEMORY_S):
            await memory.episodes(NOBODY, limit=1)
    except (Unreachable, ForgottenLater, StorageFailed, TimeoutError, NotDone) as exc:
        return Finding(name, fact, 1, [type(exc).__name__], mend)
    return Finding(name, fact)
