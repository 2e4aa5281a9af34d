"""``outbox stats``, ``ls`` and ``show``: what waits, for whom, since when; what was said only when asked."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from enrichment.operating.answer import Answer, NotDone
from enrichment.operating.opening import open_to_read
from enrichment.operating.progress import progress
from enrichment.operating.walking import sessions
from enrichment.operating.words import age, moment, printable, short, table
from enrichment.outbox.port import Entry, Line
from enrichment.outbox.sqlite_reader import Readable
from enrichment.settings import Settings

STATES = ("pending", "parked", "delivered")
LINES = 100
MOST_ERRORS = 5


@dataclass(frozen=True, slots=True)
class Tally:
    """What all sessions come to."""

    sessions: int
    waiting: int
    with_parked: int
    delivered: int
    errors: Counter[str]


async def stats(settings: Settings, _arguments: argparse.Namespace) -> Answer:
    async with open_to_read(settings) as outbox:
        depth, orders = await outbox.depth(), await outbox.orders()
        tally = await _tally(outbox)
    told = {
        "pending": depth.pending,
        "parked": depth.parked,
        "oldest_s": round(depth.oldest_s, 1),
        "sessions": tally.sessions,
        "sessions_waiting": tally.waiting,
        "sessions_with_parked": tally.with_parked,
        "delivered": tally.delivered,
        "erasures_to_confirm": len(orders),
        "last_errors": dict(tally.errors.most_common(MOST_ERRORS)),
    }
    lines = [
        f"pending    {depth.pending} turns in {tally.waiting} sessions, the oldest {age(depth.oldest_s)} old",
        f"parked     {depth.parked} turns in {tally.with_parked} sessions",
        f"delivered  {tally.delivered} turns; {tally.sessions} sessions in all",
        f"erasures   {len(orders)} that memory has still to confirm",
        *(f"error      {short(error)} ({count} sessions)" for error, count in tally.errors.most_common(5)),
    ]
    return Answer(told, lines)


async def _tally(outbox: Readable) -> Tally:
    count, waiting, with_parked, delivered = 0, 0, 0, 0
    errors: Counter[str] = Counter()
    with progress("Counting sessions") as shown:
        async for line in sessions(outbox):
            count += 1
            waiting += line.pending > 0
            with_parked += line.parked > 0
            delivered += line.delivered
            errors.update([line.last_error] if line.last_error else [])
            shown.advance()
    return Tally(count, waiting, with_parked, delivered, errors)


async def ls(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_to_read(settings) as outbox:
        found = await outbox.lines(state=arguments.state, limit=arguments.limit, after=arguments.after)
    following = found[-1].session_id if len(found) == arguments.limit else None
    told = {"sessions": [asdict(line) for line in found], "after": following}
    notes = [f"There may be more: --after {following}"] if following else []
    headings = ("session", "person", "pending", "parked", "delivered", "failures", "due", "last error")
    return Answer(told, list(table(headings, [_row(line) for line in found])), notes=notes)


def _row(line: Line) -> tuple[object, ...]:
    counts = (line.pending, line.parked, line.delivered, line.attempts)
    return (line.session_id, printable(line.person), *counts, moment(line.due_at), short(line.last_error))


async def show(settings: Settings, arguments: argparse.Namespace) -> Answer:
    async with open_to_read(settings) as outbox:
        found = await outbox.entries(arguments.session)
    if not found:
        raise NotDone("There is no such session in the outbox, or it was erased.")
    turns = [as_json(entry, with_text=arguments.text) for entry in found]
    told = {"session_id": arguments.session, "turns": turns}
    return Answer(told, list(_shown(found, with_text=arguments.text)))


def _shown(entries: Sequence[Entry], *, with_text: bool) -> Sequence[str]:
    headings = ("turn", "speaker", "state", "characters", "accepted", "reason")
    rows = [
        (each.turn_id, each.speaker, each.state, _length(each), moment(each.accepted_at), short(each.reason))
        for each in entries
    ]
    said = [f"{each.turn_id}: {printable(each.text)}" for each in entries if with_text and each.text]
    return [*table(headings, rows), *([""] if said else []), *said]


def _length(entry: Entry) -> int | str:
    return "-" if entry.text is None else len(entry.text)


def as_json(entry: Entry, *, with_text: bool) -> dict[str, Any]:
    """A turn for a script: how long its text is, and what it says only when asked."""
    told = asdict(entry)
    text = told.pop("text")
    told["characters"] = None if text is None else len(text)
    return told | {"text": text} if with_text else told


def at_least_one(value: str) -> int:
    """A number from 1 on."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError("must be a number from 1 on")
    return int(value)


def ls_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", choices=STATES, help="only sessions with such turns")
    parser.add_argument("--limit", type=at_least_one, default=LINES, help="sessions at once (%(default)s)")
    parser.add_argument("--after", default="", metavar="SESSION", help="go on behind that session")


def show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="as ls shows it")
    parser.add_argument(
        "--text", action="store_true", help="also what was said; without it only how long it is"
    )
