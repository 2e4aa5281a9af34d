"""``python -m broker probe``: asks every way to mint once, says what to mend. A composition root."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TextIO

from broker.agents import load_agents
from broker.edge.background import background
from broker.edge.startup import refuse, settings_or_exit
from broker.edge.telemetry import configure_logging
from broker.minting.credentials import Identity
from broker.minting.outcomes import MintFailed, Verdict
from broker.minting.rows import failsafe_rows
from broker.minting.strategies import Row
from broker.probing.advice import Names, best
from broker.probing.asking import Finding, Patience, Prober
from broker.probing.checks import checks
from broker.probing.identity import Overheard
from broker.probing.report import CallReport, Report
from broker.settings import Settings
from broker.upstream import http_session
from broker.wiring import domains_of, nobody_s_session, token_source_of

EXIT_WORKS = 0
EXIT_NO_TOKEN = 1
EXIT_CONFIGURATION = 2
EXIT_INTERRUPTED = 130


def run(arguments: argparse.Namespace) -> int:
    """Exits with 2 by itself when there is nothing that could be asked."""
    settings = settings_or_exit("broker", Settings, EXIT_CONFIGURATION)
    configure_logging("ERROR")
    logging.getLogger("azure").setLevel(logging.ERROR)  # why an identity is not ready is told in the table
    if settings.azure_voicelive_endpoint is None:
        refuse("Nothing to probe:", ["AZURE_VOICELIVE_ENDPOINT: not set"], EXIT_CONFIGURATION)
    if arguments.call and not _can_call():
        text = "aiortc is not installed; `make setup` installs it, or `pip install aiortc`"
        refuse("No call can be made from here:", [text], EXIT_CONFIGURATION)
    try:
        report = asyncio.run(probe(settings, with_call=arguments.call, progress=sys.stderr))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if arguments.json:
        print(json.dumps(report.as_json(), indent=2))  # noqa: T201 - what it is for
    else:
        print("\n".join(report.lines(colours=sys.stdout.isatty())))  # noqa: T201 - what it is for
    return EXIT_WORKS if report.works else EXIT_NO_TOKEN


def options(parser: argparse.ArgumentParser) -> None:
    """What the probe can be told on its command line."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts instead of a table")
    parser.add_argument("--call", action="store_true", help="also make one real call by the way that won")


async def probe(
    settings: Settings, *, with_call: bool, progress: TextIO, patience: Patience | None = None
) -> Report:
    """Everything that can be known without a caller, and without the broker running."""
    names = Names(settings.azure_voicelive_region, settings.azure_voicelive_scope)
    async with http_session() as session, _identity_of(settings) as (identity, source):
        prober = Prober(
            session,
            nobody_s_session(settings),
            filtered=settings.webrtc_filter,
            patience=patience or Patience(),
            why_not_ready=lambda: source.fault if source else "",
        )
        rows = failsafe_rows(domains_of(settings, identity), settings.azure_voicelive_api_version)
        findings = await _ask(prober, rows, progress)
        scope_refused = any(found.verdict is Verdict.WRONG_AUDIENCE for found in findings)
        if scope_refused and source is not None:
            await source.answer()  # the broker changes to the other scope by itself, and so do we
            findings = await _again(prober, findings, progress)
        call = await _call(prober, findings, progress) if with_call else None
    agents = load_agents(settings.azure_voicelive_voice)
    checked = checks(settings, names, findings, agents, scope_refused=scope_refused)
    return Report(findings, checked, names, call)


@asynccontextmanager
async def _identity_of(settings: Settings) -> AsyncIterator[tuple[Identity | None, Overheard | None]]:
    """The configured identity with its first token, or with a word for why there is none."""
    async with token_source_of(settings) as source:
        if source is None:
            yield None, None
            return
        overheard = Overheard(source)
        identity = Identity(overheard, scope=settings.azure_voicelive_scope)
        async with background(identity=identity.keep_fresh()):
            await overheard.answer()
            yield identity, overheard


async def _ask(prober: Prober, rows: Sequence[Row], progress: TextIO) -> list[Finding]:
    shown = _Progress(len(rows), progress)
    try:
        return await prober.ask_all(rows, shown.answered)
    finally:
        shown.clear()


async def _again(prober: Prober, findings: Sequence[Finding], progress: TextIO) -> list[Finding]:
    """The same findings, those of the identity asked once more."""
    rows = [found.row for found in findings if not found.minted and found.row.credential.name == "identity"]
    better = {found.row: found for found in await _ask(prober, rows, progress)}
    return [better.get(found.row, found) for found in findings]


async def _call(prober: Prober, findings: Sequence[Finding], progress: TextIO) -> CallReport | None:
    from broker.probing import call  # noqa: PLC0415 - aiortc is installed for development only

    winner = best(findings)
    if winner is None:
        return None
    progress.write(f"Making one call by {winner.row.name} ...\n")
    try:
        token, credential = await prober.mint(winner.row, winner.left_out), winner.row.headers()
    except MintFailed as exc:
        return CallReport(False, winner.row.name, advice=f"no second token ({exc}); run the probe again")
    return await call.complete_call(prober.upstream(call.OFFER_S), token, credential, winner.row.name)


def _can_call() -> bool:
    try:
        import aiortc  # noqa: F401, PLC0415 - only whether it is there
    except ImportError:
        return False
    return True


class _Progress:
    """What is going on, on a terminal as it happens, elsewhere as one line."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._out, self._done = out, 0
        self._what = "1 way to mint" if total == 1 else f"{total} ways to mint"
        self._live = out.isatty()
        self._show() if self._live else out.write(f"Asking {self._what} ...\n")

    def answered(self) -> None:
        self._done += 1
        if self._live:
            self._show()

    def clear(self) -> None:
        if self._live:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _show(self) -> None:
        self._out.write(f"\rAsking {self._what}: {self._done} answered ")
        self._out.flush()
