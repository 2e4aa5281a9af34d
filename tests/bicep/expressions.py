"""Reads expressions: the half of the reader that knows what a value looks like."""

from __future__ import annotations

from typing import Any

from tests.bicep.tokens import NotBicep, Token
from tests.bicep.tree import Call, Index, Items, Lambda, Literal, Loop, Member, Name, Operation, Pairs, Text

# What binds least first.
LEVELS = (("??",), ("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))
WORDS = {"true": True, "false": False, "null": None}


class Expressions:
    """A recursive descent over tokens."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0

    @property
    def here(self) -> Token:
        return self._tokens[self._at]

    def wrong(self, wanted: str) -> NotBicep:
        return NotBicep(f"line {self.here.line}: wanted {wanted}, found {self.here.text!r}")

    def accept(self, sign: str) -> bool:
        found = self.here.kind == "sign" and self.here.text == sign
        self._at += found
        return found

    def accept_word(self, word: str) -> bool:
        found = self.here.kind == "name" and self.here.text == word
        self._at += found
        return found

    def take(self, sign: str) -> None:
        if not self.accept(sign):
            raise self.wrong(sign)

    def name(self) -> str:
        if self.here.kind != "name":
            raise self.wrong("a name")
        self._at += 1
        return self._tokens[self._at - 1].text

    def newlines(self) -> None:
        while self.here.kind == "newline":
            self._at += 1

    def ends_here(self) -> None:
        if self.here.kind not in {"newline", "end"}:
            raise self.wrong("the end of the line")
        self.newlines()

    def expression(self) -> Any:
        condition = self._level(0)
        if not self.accept("?"):
            return condition
        then = self.expression()
        self.take(":")
        return Operation("?", (condition, then, self.expression()))

    def _level(self, level: int) -> Any:
        if level == len(LEVELS):
            return self._unary()
        left = self._level(level + 1)
        while self.here.kind == "sign" and self.here.text in LEVELS[level]:
            sign = self.here.text
            self._at += 1
            left = Operation(sign, (left, self._level(level + 1)))
        return left

    def _unary(self) -> Any:
        for sign in ("!", "-"):
            if self.accept(sign):
                return Operation(sign, (self._unary(),))
        return self._followed(self._primary())

    def _followed(self, value: Any) -> Any:
        while True:
            line = self.here.line
            if self.accept("."):
                name = self.name()
                called = self.here.text == "("
                value = Call(value, name, self._arguments(), line) if called else Member(value, name)
            elif self.accept("["):
                value = Index(value, self.expression())
                self.take("]")
            elif not self.accept("!"):  # a promise to the compiler: this is not null
                return value

    def _primary(self) -> Any:
        token = self.here
        if token.kind == "int":
            self._at += 1
            return Literal(int(token.text))
        if token.kind == "string":
            self._at += 1
            return _text(token)
        if token.kind == "name":
            return self._named(token)
        if self.accept("("):
            value = self.expression()
            self.take(")")
            return value
        if self.accept("["):
            return self._list()
        if self.accept("{"):
            return self._object()
        raise self.wrong("a value")

    def _named(self, token: Token) -> Any:
        self._at += 1
        if token.text in WORDS:
            return Literal(WORDS[token.text])
        if self.accept("=>"):
            return Lambda((token.text,), self.expression())
        if self.here.text == "(" and self.here.kind == "sign":
            return Call(None, token.text, self._arguments(), token.line)
        return Name(token.text, token.line)

    def _arguments(self) -> tuple[Any, ...]:
        self.take("(")
        found: list[Any] = []
        self.newlines()
        while not self.accept(")"):
            found.append(self.expression())
            self.newlines()
            if self.here.text != ")":
                self.take(",")
                self.newlines()
        return tuple(found)

    def _list(self) -> Any:
        if self.accept_word("for"):
            return self._loop()
        found: list[Any] = []
        self.newlines()
        while not self.accept("]"):
            found.append(self.expression())
            if self.here.text != "]" and not self.accept(","):
                self.ends_here()
            self.newlines()
        return Items(tuple(found))

    def _loop(self) -> Loop:
        names: list[str] = []
        if self.accept("("):
            names.append(self.name())
            self.take(",")
            names.append(self.name())
            self.take(")")
        else:
            names.append(self.name())
        if not self.accept_word("in"):
            raise self.wrong("in")
        over = self.expression()
        self.take(":")
        body = self.expression()
        self.take("]")
        return Loop(tuple(names), over, body)

    def _object(self) -> Pairs:
        pairs: list[tuple[Any, Any]] = []
        self.newlines()
        while not self.accept("}"):
            key = Literal(self.name()) if self.here.kind == "name" else self._primary()
            self.take(":")
            pairs.append((key, self.expression()))
            if self.here.text != "}" and not self.accept(","):
                self.ends_here()
            self.newlines()
        return Pairs(tuple(pairs))


def _text(token: Token) -> Any:
    if all(isinstance(part, str) for part in token.parts):
        return Literal("".join(str(part) for part in token.parts))
    parts = [part if isinstance(part, str) else _inner(part, token.line) for part in token.parts]
    return Text(tuple(part for part in parts if part != ""))


def _inner(found: list[Token], line: int) -> Any:
    inner = Expressions([*found, Token("end", "", line)])
    value = inner.expression()
    inner.ends_here()
    return value
