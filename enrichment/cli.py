"""``python -m enrichment``: the service, and what its operators look at and mend."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from broker.edge.startup import Command, Commands, command_line
from enrichment.app import create_app
from enrichment.operating import (
    ballast,
    dropping,
    erasing,
    exporting,
    looking,
    replaying,
    revoking,
    verifying,
)
from enrichment.operating.answer import EXIT_CODES
from enrichment.operating.carrying_out import operator_s
from enrichment.settings import Settings


def main() -> None:
    """Do what the words behind ``python -m enrichment`` say."""
    command_line("enrichment", "Brings transcripts into memory.", 8081, Settings, create_app, _commands())


def _commands() -> Sequence[Command | Commands]:
    ballasts = [operator_s("drop", ballast.ABOUT, _nothing_more, ballast.drop)]
    erase = "forget a person, or one session, in the outbox and in memory"
    verify = "check the outbox and memory, and say how to mend what is wrong"
    return [
        Commands("outbox", "look at what waits for memory, and mend it", _outbox(), EXIT_CODES),
        operator_s("erase", erase, erasing.options, erasing.erase),
        operator_s("revoke", revoking.ABOUT, revoking.options, revoking.revoke),
        Commands("ballast", "room that is kept back for the day the disk is full", ballasts, EXIT_CODES),
        operator_s("verify", verify, _nothing_more, verifying.verify),
    ]


def _outbox() -> Sequence[Command]:
    replay = "try parked turns once more, when what they failed on was mended"
    drop = "give up one parked turn: its text goes, its id stays"
    export = "what is not in memory yet, one JSON object a line, without what was said"
    return [
        operator_s("stats", "how much waits, since when, and why", _nothing_more, looking.stats),
        operator_s("ls", "sessions by id, with what waits of each", looking.ls_options, looking.ls),
        operator_s(
            "show", "the turns of one session, without what was said", looking.show_options, looking.show
        ),
        operator_s("replay", replay, replaying.options, replaying.replay),
        operator_s("drop", drop, dropping.options, dropping.drop),
        operator_s("export", export, exporting.options, exporting.export),
    ]


def _nothing_more(_parser: argparse.ArgumentParser) -> None:
    """No option but what every command has."""
