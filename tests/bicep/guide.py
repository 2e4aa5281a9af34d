"""The guide taken apart: its commands as a shell would see them, and the names that it uses."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from unittest import mock

from tests.bicep.azure_cli import COMMANDS, EVERYBODY_S
from tests.bicep.project import ROOM

BOTH = ("broker", "enrichment")
SHELL = {"for", "do", "done", "echo", "read", "mkdir", "curl", "openssl", "docker"}
ASSIGNED = re.compile(
    r"(?:^|\s)(?:export )?([A-Za-z_]+)=|\bfor (\w+) in\b|\bread (?:-\w+ (?:'[^']*' )?)*(\w+);"
)
USED = re.compile(r"\$\{?([A-Za-z_]+)")


def blocks(text: str) -> list[str]:
    """What stands in ``sh`` blocks, in order."""
    return [block.replace("\\\n", " ") for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


def listed_variables(text: str) -> set[str]:
    """Those that a table says a shell must have."""
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|.*\| [a-z, ]+ \|$", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"[A-Z_]+", row)}


def undefined(text: str) -> Iterator[str]:
    """Variables that are used, in a block or in a line's code, before anything gave them a value.

    What a table's code uses may be defined in any block: tables are looked up, blocks are followed.
    """
    known = listed_variables(text)
    for block in blocks(text):
        for line in block.splitlines():
            here = {name for names in ASSIGNED.findall(line) for name in names if name}
            outside_quotes = re.sub(r"'[^']*'", "", line) if '"' not in line else line
            yield from sorted(set(USED.findall(outside_quotes)) - known - here)
            known |= here
    for code in inline(text):
        yield from sorted(set(USED.findall(code)) - known)


def inline(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def commands(text: str) -> Iterator[list[str]]:
    """Every command as words, those inside ``$(…)`` too, and those that stand in a line's code."""
    for line in [line for block in blocks(text) for line in block.splitlines()]:
        inner = re.findall(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)", line)
        for part in [*inner, re.sub(r"\"\$\(.*\)\"", "it", line)]:
            yield from filter(None, (words_of(each) for each in re.split(r"; (?!\s*$)", part)))
    for code in inline(text):
        if code.startswith(("az ", "python -m ", "curl ")):
            yield words_of(code)


def words_of(command: str) -> list[str]:
    words = shlex.split(command, comments=True)
    while words and (words[0] in {"do", "done"} or re.fullmatch(r"[A-Za-z_]+=.*", words[0])):
        words = words[1:]
    return words


def complaint_about(words: list[str]) -> str | None:
    """What is wrong with a command; None when there is such a one."""
    if words[0] == "az":
        return _about_azure(words)
    if words[:2] == ["python", "-m"]:
        return _about_ours(words[2], words[3:])
    if words[0] == "make":
        return _about_make(words[1])
    return None if words[0] in SHELL else f"nobody knows {words[0]}"


def _about_make(target: str) -> str | None:
    targets = re.findall(r"^([a-z-]+):", (ROOM.parent / "Makefile").read_text(), re.MULTILINE)
    return None if target in targets else f"there is nothing to make: {target}"


def _about_azure(words: list[str]) -> str | None:
    options = [word for word in words if word.startswith("--")]
    command = " ".join(words[: words.index(options[0])] if options else words)
    if command not in COMMANDS:
        return f"no such command: {command}"
    given = set(COMMANDS[command].split()) | EVERYBODY_S
    wrong = [option for option in options if option not in given]
    return f"{command} has no {wrong[0]}" if wrong else None


def _about_ours(package: str, arguments: list[str]) -> str | None:
    if package not in BOTH:
        return f"no package of ours: {package}"
    try:
        parser_of(package).parse_args(arguments)
    except SystemExit:
        return f"python -m {package} does not know {' '.join(arguments)}"
    return None


class _Seen(BaseException):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


@cache
def parser_of(package: str) -> argparse.ArgumentParser:
    """The parser that the command line of a package really has."""

    def stop(parser, *_args, **_more):
        raise _Seen(parser)

    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
        mock.patch.object(sys, "argv", ["-"]),
    ):
        try:
            runpy.run_module(package, run_name="__main__", alter_sys=False)
        except _Seen as seen:
            return seen.parser
    raise AssertionError(f"{package} has no command line")


@cache
def events() -> frozenset[str]:
    """What the apps write: the first word of every call of a logger."""
    found = set()
    for path in [path for room in BOTH for path in (ROOM.parent / room).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="debug" | "info" | "warning" | "error" | "critical"),
                    args=[ast.Constant(value=str(event)), *_],
                ):
                    found.add(event)
    return frozenset(found)
