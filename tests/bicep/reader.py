"""Reads a Bicep file into `tree`. Raises NotBicep for what it does not know."""

from __future__ import annotations

from typing import Any

from tests.bicep.expressions import Expressions
from tests.bicep.tokens import NotBicep, tokens
from tests.bicep.tree import Call, Declaration, File, Literal

TYPES = frozenset(["string", "int", "bool", "object", "array"])


def read(source: str, path: str) -> File:
    """The file, of which ``path`` is said in complaints."""
    try:
        return _Reader(source).file(path)
    except NotBicep as exc:
        raise NotBicep(f"{path}: {exc}") from None


class _Reader(Expressions):
    def __init__(self, source: str) -> None:
        super().__init__(tokens(source))

    def file(self, path: str) -> File:
        file = File(path)
        self.newlines()
        while self.here.kind != "end":
            decorators = self._decorators()
            word = self.name()
            if word == "using":
                file.using = self.plain_string()
            elif word == "targetScope":
                self.take("=")
                file.declarations.append(
                    Declaration("targetScope", word, "", self.expression(), self.here.line)
                )
            else:
                file.declarations.append(self._declaration(word, decorators))
            self.ends_here()
        return file

    def _decorators(self) -> tuple[Call, ...]:
        found: list[Call] = []
        while self.accept("@"):
            call = self.expression()
            if not isinstance(call, Call):
                raise self.wrong("a decorator")
            found.append(call)
            self.newlines()
        return tuple(found)

    def _declaration(self, kind: str, decorators: tuple[Call, ...]) -> Declaration:
        line = self.here.line
        if kind in {"resource", "module"}:
            return self._deployed(kind, line, decorators)
        if kind not in {"param", "var", "output"}:
            raise self.wrong(f"a declaration, not {kind}")
        name = self.name()
        has_type = kind == "output" or (kind == "param" and self.here.text != "=")
        type_ = self.name() if has_type and self.here.kind == "name" else ""
        if type_ and type_ not in TYPES:
            raise self.wrong(f"a type that is known here, not {type_}")
        body: Any = self.expression() if self.accept("=") else None
        return Declaration(kind, name, type_, body, line, decorators)

    def _deployed(self, kind: str, line: int, decorators: tuple[Call, ...]) -> Declaration:
        name, type_ = self.name(), self.plain_string()
        is_existing = self.accept_word("existing")
        self.take("=")
        condition = None
        if self.accept_word("if"):
            self.take("(")
            condition = self.expression()
            self.take(")")
        body = self.expression()
        return Declaration(kind, name, type_, body, line, decorators, condition, is_existing)

    def plain_string(self) -> str:
        value = self.expression()
        if not isinstance(value, Literal) or not isinstance(value.value, str):
            raise self.wrong("a string without interpolation")
        return value.value
