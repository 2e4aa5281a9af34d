"""``outbox export``: what is not in memory, as JSON lines; what was said only when asked for."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from enrichment.operating.answer import Answer, NotDone, write
from enrichment.operating.looking import as_json
from enrichment.operating.opening import open_to_read
from enrichment.operating.progress import progress
from enrichment.operating.walking import sessions
from enrichment.operating.words import counted
from enrichment.outbox.port import Line
from enrichment.outbox.sqlite_reader import Readable
from enrichment.settings import Settings

ONLY_THE_OWNER = 0o600
Sink = Callable[[str], object]


async def export(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_to_read(settings) as outbox:
        depth = await outbox.depth()
        with _sink(arguments.output) as sink, progress("Exporting", depth.pending + depth.parked) as shown:
            count = 0
            async for turn in _undelivered(outbox, with_text=arguments.text):
                sink(f"{json.dumps(turn)}\n")
                shown.advance()
                count += 1
    return _told(count, arguments.output)


def _told(count: int, output: Path | None) -> Answer:
    """On standard output there is nothing but the turns."""
    line = f"{counted(count, 'turn')} exported."
    if output is None:
        return Answer(None, [], notes=[line])
    return Answer({"exported": count, "file": str(output)}, [line])


async def _undelivered(outbox: Readable, *, with_text: bool) -> AsyncIterator[dict[str, Any]]:
    async for line in sessions(outbox):
        if line.pending + line.parked > 0:
            async for turn in _of_session(outbox, line, with_text=with_text):
                yield turn


async def _of_session(outbox: Readable, line: Line, *, with_text: bool) -> AsyncIterator[dict[str, Any]]:
    """All that is needed to post the turn again. One that is delivered meanwhile is left out."""
    turns = {turn.turn_id: turn for turn in await outbox.pending(line.person, line.session_id)}
    for entry in await outbox.entries(line.session_id):
        turn = turns.get(entry.turn_id)
        if turn is None or entry.state == "delivered":
            continue
        yield {
            "person": line.person,
            **as_json(entry, with_text=with_text),
            "previous_turn_id": turn.previous_turn_id,
            "agent_id": turn.agent_id,
            "spoken_at": turn.spoken_at.isoformat() if turn.spoken_at else None,
            "interrupted": turn.interrupted,
        }


@contextmanager
def _sink(output: Path | None) -> Iterator[Sink]:
    """Where the lines go. A file is whole or not there, and only its owner may read it."""
    if output is None:
        yield write
        return
    if output.exists():
        raise NotDone(f"{output} exists already; nothing was written.")
    part = output.with_name(f"{output.name}.part")
    try:
        part.unlink(missing_ok=True)  # of a run that was killed
        descriptor = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_EXCL, ONLY_THE_OWNER)
        with open(descriptor, "w", encoding="utf-8") as file:
            yield file.write
            file.flush()
            os.fsync(descriptor)
        part.rename(output)
    except OSError as exc:
        raise NotDone(f"{output} cannot be written: {exc.strerror}.") from exc
    finally:
        part.unlink(missing_ok=True)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, metavar="FILE", help="a new file instead of standard output")
    parser.add_argument(
        "--text", action="store_true", help="also what was said; without it only how long it is"
    )
