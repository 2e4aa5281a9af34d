"""``audit verify``: whether the audit is whole, and the first line that is not."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path

from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import BadLine, Head, Seal
from broker.edge.audit.settings import POSTGRES, CheckingSettings, folder_of
from broker.edge.audit.stored import anchor_lines, chain_of, files_of, places_in_files, places_in_rows
from broker.edge.audit.verifying import Findings, Place, read_anchors, verify
from broker.edge.startup import Command, Commands, refuse, settings_or_exit

NAMED = 20
EXIT_CODES = """\
exit codes:
  0    every line is as it was written
  1    something was changed, moved, taken out or cut off; the first such line of each chain is named
  2    it could not be checked: the settings or words do not hold, or it cannot be read

AUDIT_KEY is what it was sealed with. Without anchors (--anchors, AUDIT_ANCHOR_URL) nobody can tell whether
lines are missing at the end of a chain, nor whether a whole chain is.
"""


class Exit(IntEnum):
    """How checking ends; see `EXIT_CODES`."""

    WHOLE = 0
    WRONG = 1
    UNCHECKED = 2


def commands() -> Commands:
    """``audit …`` of a service's command line."""
    about = "check that nothing in the audit was changed, moved, taken out or cut off"
    check = Command("verify", about, options, run, EXIT_CODES)
    return Commands("audit", "what was put on record of who did what", [check], EXIT_CODES)


def options(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("path", metavar="PATH", nargs="?", type=Path, help="a folder, or one file of a chain")
    which.add_argument("--database", action="store_true", help="the PostgreSQL that AUDIT_URL names")
    parser.add_argument("--anchors", metavar="PATH", type=Path, help="a folder or file of anchors")
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def run(arguments: argparse.Namespace) -> int:
    """The exit code, having said what was found."""
    settings = settings_or_exit("audit verify", CheckingSettings, Exit.UNCHECKED)
    seal = Seal(settings.audit_key.get_secret_value().encode())
    with _explained():
        anchors = _anchors(settings, arguments.anchors)
        places, is_all = _places(settings, arguments)
        if not is_all:
            anchors = {name: heads for name, heads in anchors.items() if name == chain_of(arguments.path)}
        findings = verify(places, seal, anchors, is_all=is_all)
    told = json.dumps(as_json(findings), indent=2) if arguments.json else "\n".join(lines(findings, seal))
    print(told)  # noqa: T201 - what it is for
    return Exit.WHOLE if findings.is_whole else Exit.WRONG


def _places(settings: CheckingSettings, arguments: argparse.Namespace) -> tuple[Iterator[Place], bool]:
    """The lines that are meant, and whether those are all that the place has."""
    address = settings.audit_url.get_secret_value() if settings.audit_url else ""
    if arguments.database:
        if not address.startswith(POSTGRES):
            refuse("There is no database to check:", ["AUDIT_URL: must be postgresql://…"], Exit.UNCHECKED)
        from broker.edge.audit.postgres import stored_lines  # noqa: PLC0415 - psycopg is an extra

        return places_in_rows(stored_lines(address)), True
    path = arguments.path or folder_of(address)
    if path is None:
        refuse("Nothing to check:", ["name a PATH, or --database"], Exit.UNCHECKED)
    return places_in_files(files_of(path)), path.is_dir()


def _anchors(settings: CheckingSettings, path: Path | None) -> Mapping[str, Sequence[Head]]:
    chosen = path or folder_of(settings.audit_anchor_url or "")  # blobs are downloaded first, by who may
    return read_anchors(anchor_lines(chosen)) if chosen else {}


@contextmanager
def _explained() -> Iterator[None]:
    """What cannot be read is no finding: nothing is known then."""
    try:
        yield
    except OSError as exc:
        refuse(
            "The audit cannot be read:", [f"{exc.filename}: {exc.strerror or 'not there'}"], Exit.UNCHECKED
        )
    except SinkFailed as exc:
        refuse("The audit cannot be read:", [f"the database: {exc}"], Exit.UNCHECKED)
    except BadLine as exc:
        refuse("The anchors cannot be read:", [str(exc)], Exit.UNCHECKED)


def as_json(findings: Findings) -> dict[str, object]:
    """For scripts."""
    return {"whole": findings.is_whole, **asdict(findings)}


def lines(findings: Findings, seal: Seal) -> Iterator[str]:
    """For a person: what is wrong first, then what it comes to, then what could not be told."""
    for wrong in findings.wrong[:NAMED]:
        yield f"WRONG  {_printable(wrong.where)} ({wrong.kind}): {wrong.what}."
    if len(findings.wrong) > NAMED:
        yield f"       … and {len(findings.wrong) - NAMED} more chains"
    if (
        findings.chains
        and len([wrong for wrong in findings.wrong if _at_first(wrong.where)]) == findings.chains
    ):
        yield f"       Wrong from the first line on: is AUDIT_KEY theirs? This one is named {seal.key_name}."
    chains, read = _counted(findings.chains, "chain"), _counted(findings.lines, "line")
    if findings.wrong:
        yield f"WRONG: {len(findings.wrong)} of {chains}, {read}. Copy everything before you touch it."
    else:
        yield f"OK: {read} in {chains}, each as it was written."
    if findings.unanchored:
        count = len(findings.unanchored)
        yield f"No anchor for {count} of them: whether their end was cut off cannot be told."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _printable(text: str) -> str:
    """A name of a file as one line that can do nothing to a terminal."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _at_first(where: str) -> bool:
    return where.endswith("line 1")
