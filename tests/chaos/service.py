"""Enrichment as it is, with faults around it: ``python -m tests.chaos.service``; set up by its own settings.

Nothing inside is replaced but the memory, by one that is elsewhere. ``--lease`` changes a constant of the
outbox, so that a frozen worker need not be waited for half a minute.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from starlette.types import ASGIApp

import enrichment.outbox
from broker.edge.startup import serve
from broker.edge.telemetry import configure_logging
from enrichment.app import create_app
from enrichment.memory.port import Memory
from enrichment.settings import Settings
from tests.chaos.disks import CrampedDisk, under_sqlite
from tests.chaos.remote import RemoteMemory


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--memory", help="address of a recorder; the embedded memory without one")
    parser.add_argument("--lease", type=float, help="seconds; the real length without it")
    parser.add_argument(
        "--frozen", type=float, default=0.0, help="share of deliveries that outlive their lease"
    )
    parser.add_argument("--full", type=Path, help="as long as this file exists the disk is full")
    return parser.parse_args()


def shorten_leases(lease_s: float) -> None:
    """Wherever an engine of the outbox has it."""
    for module in pkgutil.iter_modules(enrichment.outbox.__path__):
        loaded = importlib.import_module(f"enrichment.outbox.{module.name}")
        if hasattr(loaded, "LEASE_S"):
            vars(loaded)["LEASE_S"] = lease_s


def app_of(given: argparse.Namespace, settings: Settings) -> ASGIApp:
    if not given.memory:
        return create_app(settings)

    def memory(_settings: Settings) -> Memory:
        frozen_s = 1.5 * (given.lease or 0.0)
        return cast(Memory, RemoteMemory(given.memory, frozen=given.frozen, frozen_s=frozen_s))

    return create_app(settings, memory=memory)


def main() -> None:
    given = arguments()
    settings = Settings()  # from the environment
    configure_logging(settings.log_level)
    if given.lease:
        shorten_leases(given.lease)
    with ExitStack() as stack:
        if given.full:
            stack.enter_context(under_sqlite(CrampedDisk(given.full), "cramped"))
        serve(app_of(given, settings), host="127.0.0.1", port=given.port)


if __name__ == "__main__":
    main()
