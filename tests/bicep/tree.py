"""What a Bicep file consists of, as its reader builds it and as everything else here walks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    value: str | int | bool | None


@dataclass(frozen=True, slots=True)
class Text:
    """A string with interpolations; its parts are strings and expressions."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    of: Any
    name: str


@dataclass(frozen=True, slots=True)
class Index:
    of: Any
    at: Any


@dataclass(frozen=True, slots=True)
class Call:
    """``of`` is None for a function, else what its method is called on."""

    of: Any
    name: str
    arguments: tuple[Any, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Operation:
    """One, two or three operands; of three the sign is ``?``."""

    sign: str
    operands: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Items:
    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    pairs: tuple[tuple[Any, Any], ...]

    def get(self, name: str) -> Any:
        return next((value for key, value in self.pairs if key == Literal(name)), None)

    def keys(self) -> list[str]:
        return [str(key.value) for key, _ in self.pairs if isinstance(key, Literal)]


@dataclass(frozen=True, slots=True)
class Loop:
    names: tuple[str, ...]
    over: Any
    body: Any


@dataclass(frozen=True, slots=True)
class Lambda:
    names: tuple[str, ...]
    body: Any


@dataclass(frozen=True, slots=True)
class Declaration:
    """``kind`` is the word it begins with; ``type`` of a resource has its version, a module's is its path."""

    kind: str
    name: str
    type: str
    body: Any
    line: int
    decorators: tuple[Call, ...] = ()
    condition: Any = None
    is_existing: bool = False

    def decorator(self, name: str) -> Call | None:
        return next((call for call in self.decorators if call.name == name), None)


@dataclass(slots=True)
class File:
    """One file; ``using`` is what a parameter file is for."""

    path: str
    declarations: list[Declaration] = field(default_factory=list)
    using: str | None = None

    def of(self, kind: str) -> list[Declaration]:
        return [each for each in self.declarations if each.kind == kind]


def walk(node: Any) -> Iterator[Any]:
    """The node and everything below it."""
    yield node
    if isinstance(node, tuple | list):
        for each in node:
            yield from walk(each)
    elif is_dataclass(node):
        for each in fields(node):
            yield from walk(getattr(node, each.name))
