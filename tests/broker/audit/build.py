"""Audits as the tests want them: written, kept, stopped, read."""

from __future__ import annotations

import json
import threading
from contextlib import asynccontextmanager

from broker.edge.audit.entries import Action, Who, entry
from broker.edge.audit.port import SinkFailed
from broker.edge.audit.recording import Audit
from broker.edge.audit.sealing import Head, Seal
from broker.edge.audit.stored import files_of, places_in_files
from broker.edge.audit.verifying import verify
from broker.edge.audit.writer import Writer
from tests.clocks import Clock

KEY = b"canary-audit-key-0123456789abcdef"
SEAL = Seal(KEY)
FIRST = {"action": "config.start"}
ALICE = Who(actor="tid:alice", role="user", ip="192.0.2.0", ua="aa", trace_id="t" * 32)
MINT = entry(Action.TOKEN_MINT, ALICE, session_id="s-1", agent_id="elena")


class ListSink:
    """Keeps the contract of `Sink` in a list. ``faults`` come first; ``hold`` keeps it from answering."""

    def __init__(self, *faults: str) -> None:
        self.faults = list(faults)
        self.lines: list = []
        self.groups: list[int] = []
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()
        self.stored_all_the_same = False
        self.closed = False

    def append(self, lines):
        self.reached.set()
        assert self.free.wait(10)
        fault = self.faults.pop(0) if self.faults else None
        if fault is None or self.stored_all_the_same:
            self.lines += lines
            self.groups.append(len(lines))
        if fault:
            raise SinkFailed(fault)

    def recover(self, known):
        return self.lines[-1].head if self.lines else known

    def close(self):
        self.closed = True

    def fields(self):
        return [json.loads(line.text) for line in self.lines]


@asynccontextmanager
async def auditing(sink, *, monotonic=None, write_s=5.0, chain="c", pause=lambda _seconds: None):
    """An audit on that sink, closed in the end."""
    writer = Writer(sink, SEAL, Head(chain), FIRST, now=Clock(), pause=pause)
    try:
        yield Audit(writer, monotonic=monotonic or Clock(), write_s=write_s)
    finally:
        sink_free = getattr(sink, "free", None)
        if sink_free:
            sink_free.set()
        await writer.close()


def told(folder):
    """What every line of a folder says, in order; all of them hold."""
    findings = checked(folder)
    assert findings.is_whole, findings.wrong
    return [json.loads(place.text) for place in places_in_files(files_of(folder))]


def checked(path, anchors=None, *, is_all=True):
    return verify(places_in_files(files_of(path)), SEAL, anchors or {}, is_all=is_all)


def sealed(count, chain="c", **fields):
    """So many lines of one chain."""
    lines, head = [], Head(chain)
    for number in range(count):
        lines.append(SEAL.line(head, f"2026-{number}".encode(), {"action": "token.mint", **fields}))
        head = lines[-1].head
    return lines
