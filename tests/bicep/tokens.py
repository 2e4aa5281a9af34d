"""A Bicep file as tokens. Newlines are tokens, for they end things; comments are none."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"(?P<skip>[ \t]+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<newline>\r?\n)"
    r"|(?P<raw>'''\n?(?P<text>.*?)''')"
    r"|(?P<quote>')"
    r"|(?P<int>\d+)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>=>|==|!=|<=|>=|&&|\|\||\?\?|\.\?|[-+*/%<>=!?:.,@(){}\[\]])",
    re.DOTALL,
)
PLAIN = re.compile(r"(?:[^'\\$\n]|\$(?!\{)|\\(?:u\{[0-9A-Fa-f]+\}|.))*")
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\'": "'", "\\\\": "\\", "\\$": "$"}


class NotBicep(Exception):
    """What is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is a group of `TOKEN`, ``string`` or ``end``; a string's parts are texts and token lists."""

    kind: str
    text: str
    line: int
    parts: tuple[str | list[Token], ...] = ()


def tokens(source: str) -> list[Token]:
    found, at = _until(source, 0, None)
    return [*found, Token("end", "", _line(source, at))]


def _until(source: str, at: int, end: str | None) -> tuple[list[Token], int]:
    """The tokens up to ``end``, which closes an interpolation, and where they end."""
    found: list[Token] = []
    depth = 0
    while at < len(source):
        if end and depth == 0 and source[at] == end:
            return found, at
        match = TOKEN.match(source, at)
        if match is None:
            raise NotBicep(f"line {_line(source, at)}: cannot read {source[at : at + 10]!r}")
        kind = str(match.lastgroup if match["raw"] is None else "raw")
        if kind == "quote":
            token, at = _string(source, match.end())
            found.append(token)
            continue
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if kind == "raw":
            found.append(Token("string", match[0], _line(source, at), (match["text"],)))
        elif kind != "skip":
            found.append(Token(kind, match[0], _line(source, at)))
        at = match.end()
    if end:
        raise NotBicep(f"line {_line(source, at)}: {end} is missing")
    return found, at


def _string(source: str, at: int) -> tuple[Token, int]:
    """The string whose quote ends at ``at``, and where it ends."""
    parts: list[str | list[Token]] = []
    began = at
    while True:
        match = PLAIN.match(source, at)
        assert match is not None  # it matches nothing too
        parts.append(re.sub(r"\\.", lambda found: ESCAPES.get(found[0], found[0]), match[0]))
        at = match.end()
        if source.startswith("'", at):
            return Token("string", source[began:at], _line(source, began), tuple(parts)), at + 1
        if not source.startswith("${", at):
            raise NotBicep(f"line {_line(source, began)}: a string has no end")
        inner, at = _until(source, at + 2, "}")
        parts.append(inner)
        at += 1


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1
