"""Carrying out one command: settings in, an answer or one clear sentence out, and an exit code."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable

from broker.edge.audit.port import AuditFailed
from broker.edge.startup import Command, settings_or_exit
from broker.edge.telemetry import configure_logging
from enrichment.disk import InUse
from enrichment.memory.port import ForgottenLater, Unreachable
from enrichment.operating.answer import EXIT_CODES, Answer, Exit, NotDone, nobody_reads, note
from enrichment.outbox.port import ForeignSession, StorageFailed
from enrichment.settings import Settings

IN_USE = (
    "The service has its files open, and an embedded outbox belongs to one process: stop it first, or keep "
    "the outbox in PostgreSQL, where this works beside it."
)

UNRECORDED = "It cannot be put on record now: mend what AUDIT_URL names, and do it again, which is harmless."

Work = Callable[[Settings, argparse.Namespace], Awaitable[Answer]]
Options = Callable[[argparse.ArgumentParser], None]


def operator_s(name: str, about: str, options: Options, work: Work) -> Command:
    """A command for operators. Every one knows ``--json``."""

    def with_json(parser: argparse.ArgumentParser) -> None:
        options(parser)
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")

    return Command(name, about, with_json, lambda arguments: carry_out(work, arguments), EXIT_CODES)


def carry_out(work: Work, arguments: argparse.Namespace) -> int:
    settings = settings_or_exit("enrichment", Settings)
    configure_logging("ERROR")
    try:
        answer = asyncio.run(_answer(work, settings, arguments))
        answer.tell(as_json=arguments.json)
    except NotDone as exc:
        note(str(exc))
        return exc.code
    except BrokenPipeError:
        nobody_reads()
        return Exit.NOT_DONE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return answer.code


async def _answer(work: Work, settings: Settings, arguments: argparse.Namespace) -> Answer:
    """What our own parts raise, in an operator's words."""
    try:
        return await work(settings, arguments)
    except InUse as exc:
        raise NotDone(IN_USE, Exit.NOT_NOW) from exc
    except AuditFailed as exc:
        raise NotDone(f"{UNRECORDED} ({exc})", Exit.NOT_NOW) from exc
    except StorageFailed as exc:
        raise NotDone(f"The outbox cannot be used now: {exc}. `verify` may tell more.", Exit.NOT_NOW) from exc
    except (Unreachable, ForgottenLater) as exc:
        raise NotDone(f"Memory cannot be used now: {type(exc).__name__}.", Exit.NOT_NOW) from exc
    except ForeignSession as exc:
        raise NotDone("That session belongs to another person; `outbox ls` shows whose it is.") from exc
