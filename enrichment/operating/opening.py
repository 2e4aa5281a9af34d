"""Which outbox and which memory the settings name, opened for one command. A composition root.

The embedded outbox belongs to one process. While the service runs, commands that only look read the file
beside it; commands that change something have to wait until it is stopped.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Unpack

import apsw

from broker.edge.audit.entries import Action, More, Who, entry
from broker.edge.audit.recording import Act, Audit
from broker.edge.audit.wiring import audit_of
from broker.edge.callers import Proof
from enrichment import wiring
from enrichment.disk import InUse, WrongPlace
from enrichment.memory.port import Memory
from enrichment.operating.answer import Exit, NotDone
from enrichment.outbox.port import Outbox
from enrichment.outbox.sqlite import SqliteOutbox
from enrichment.outbox.sqlite_reader import Readable, SqliteReader
from enrichment.settings import Settings


def is_embedded(settings: Settings) -> bool:
    """Whether the outbox is a file of this machine."""
    return settings.outbox_engine == "sqlite"


@asynccontextmanager
async def open_outbox(settings: Settings) -> AsyncIterator[Outbox]:
    """To change it. The ballast stays as it is: an operator may just have given it up."""
    async with AsyncExitStack() as opened:
        with explained():
            if is_embedded(settings):
                _require_file(settings)
                outbox: Outbox = SqliteOutbox(settings.outbox_path)
                opened.push_async_callback(outbox.close)
            else:
                outbox = await opened.enter_async_context(wiring.outbox_of(settings, None))
        yield outbox


@asynccontextmanager
async def open_to_read(settings: Settings) -> AsyncIterator[Readable]:
    """To look at it, also while the service has it."""
    if not is_embedded(settings):
        async with open_outbox(settings) as outbox:
            yield outbox
        return
    with explained():
        _require_file(settings)
        reader = SqliteReader(settings.outbox_path)
    with reader:
        yield reader


@asynccontextmanager
async def open_memory(settings: Settings) -> AsyncIterator[Memory]:
    """To forget what is in it."""
    async with AsyncExitStack() as opened:
        with explained():
            memory = await opened.enter_async_context(wiring.memory_of(settings))
        yield memory


@asynccontextmanager
async def open_audit(settings: Settings) -> AsyncIterator[tuple[Audit, Who]]:
    """To put on record what is done, and who does it: the user of this machine. A chain of its own."""
    async with audit_of(settings, "operator", wiring.on_record(settings)) as audit:
        yield audit, Who(actor=f"os:{pwd.getpwuid(os.getuid()).pw_name}", proof=Proof.SHELL.value)


@asynccontextmanager
async def on_record(settings: Settings, action: Action, **more: Unpack[More]) -> AsyncIterator[Act]:
    """For doing something that must be on record, before and after. Raises `AuditFailed`."""
    async with (
        open_audit(settings) as (audit, who),
        audit.recorded(audit.begin(entry(action, who, **more))) as act,
    ):
        yield act


@contextmanager
def explained() -> Iterator[None]:
    """Why something cannot be opened, as `NotDone`; `InUse` is for the command to tell."""
    try:
        yield
    except InUse:
        raise
    except WrongPlace as exc:
        raise NotDone(f"The outbox is in a wrong place: {exc}", Exit.CONFIGURATION) from exc
    except (apsw.Error, OSError, RuntimeError) as exc:
        why = str(exc) if isinstance(exc, RuntimeError) else type(exc).__name__
        raise NotDone(f"It cannot be opened: {why}. `verify` may tell more.", Exit.NOT_NOW) from exc


def _require_file(settings: Settings) -> None:
    """A new file in a mistyped place would answer that all is well."""
    if not settings.outbox_path.exists():
        text = f"There is no outbox at {settings.outbox_path}: are DATA_DIR and DATABASE_URL the service's?"
        raise NotDone(text, Exit.CONFIGURATION)
