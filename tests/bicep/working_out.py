"""Works an environment out: which resources there would be, with which values, without Azure."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.bicep.azure import SAID_BY_AZURE
from tests.bicep.functions import FUNCTIONS, IN_PARAMETERS, resource_id
from tests.bicep.project import MAIN, Files, beside, parameters_of
from tests.bicep.tokens import NotBicep
from tests.bicep.tree import (
    Call,
    Declaration,
    File,
    Index,
    Items,
    Lambda,
    Literal,
    Loop,
    Member,
    Name,
    Operation,
    Pairs,
    Text,
)

Values = Mapping[str, Any]
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "+": operator.add,
    "-": operator.sub,
}


@dataclass(slots=True)
class Resource:
    """One resource; ``said`` is what a property of it gives."""

    type: str
    module: str
    body: dict[str, Any]
    is_existing: bool = False
    id: str = ""
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.body["name"])


@dataclass(slots=True)
class Outcome:
    resources: list[Resource] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, type_: str) -> list[Resource]:
        return [each for each in self.resources if each.type == type_ and not each.is_existing]


def worked_out(files: Files, environment: str, variables: Values) -> Outcome:
    """An environment, deployed by somebody whose shell has ``variables``."""
    return Deployment(files, MAIN, parameters(files, environment, variables)).outcome


def parameters(files: Files, environment: str, variables: Values) -> dict[str, Any]:
    file = files[parameters_of(environment)]
    reading = Working({}, {IN_PARAMETERS: partial(_variable, variables)})
    return {each.name: reading(each.body) for each in file.of("param")}


def _variable(variables: Values, name: str, default: str | None = None) -> Any:
    if name not in variables:
        if default is not None:
            return default
        raise NotBicep(f"the environment variable {name} is not set")
    return variables[name]


class Working:
    """Works expressions out; ``symbols`` are worked out when they are asked for."""

    def __init__(self, symbols: Values, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._symbols = symbols
        self._functions = functions

    def __call__(self, node: Any) -> Any:
        work = getattr(self, f"_{type(node).__name__.lower()}")
        return work(node)

    def _literal(self, node: Literal) -> Any:
        return node.value

    def _text(self, node: Text) -> str:
        parts = (part if isinstance(part, str) else FUNCTIONS["string"](self(part)) for part in node.parts)
        return "".join(parts)

    def _name(self, node: Name) -> Any:
        value = self._symbols[node.name]
        return value() if callable(value) else value

    def _member(self, node: Member) -> Any:
        return _part(self(node.of), node.name)

    def _index(self, node: Index) -> Any:
        return self(node.of)[self(node.at)]

    def _call(self, node: Call) -> Any:
        if node.of is not None:
            return {"primarySharedKey": "made-up"}  # of listKeys, the one method there is
        return self._functions[node.name](*(self(each) for each in node.arguments))

    def _operation(self, node: Operation) -> Any:
        first = self(node.operands[0])
        if node.sign == "?":
            return self(node.operands[1] if first else node.operands[2])
        if len(node.operands) == 1:
            return not first if node.sign == "!" else -first
        if node.sign in {"&&", "||"}:
            return first and self(node.operands[1]) if node.sign == "&&" else first or self(node.operands[1])
        return BINARY[node.sign](first, self(node.operands[1]))

    def _items(self, node: Items) -> list[Any]:
        return [self(each) for each in node.items]

    def _pairs(self, node: Pairs) -> dict[str, Any]:
        return {self(key): self(value) for key, value in node.pairs}

    def _lambda(self, node: Lambda) -> Callable[[Any], Any]:
        return lambda value: self.knowing({node.names[0]: value})(node.body)

    def _loop(self, node: Loop) -> list[Any]:
        return [each(node.body) for each in self.rounds(node)]

    def rounds(self, node: Loop) -> list[Working]:
        """One for each time around, which knows the loop's variables."""
        over = enumerate(self(node.over))
        return [self.knowing(dict(zip(node.names, (value, at), strict=False))) for at, value in over]

    def knowing(self, more: Values) -> Working:
        return Working({**self._symbols, **more}, self._functions)


def _filled(said: Any, **given: str) -> Any:
    if isinstance(said, dict):
        return {name: _filled(value, **given) for name, value in said.items()}
    return said.format(**given)


def _part(of: Any, name: str) -> Any:
    if not isinstance(of, Resource):
        return of[name]
    found = {"id": of.id, "name": of.name, **of.body}
    if name == "properties":
        return {**of.body.get("properties", {}), **of.said}
    return found[name]


class Deployment:
    """One file with its parameters; the modules it calls are deployments of their own."""

    def __init__(self, files: Files, path: str, given: Values, module: str = "") -> None:
        self._files, self._module = files, module
        self._file: File = files[path]
        self._done: dict[str, Any] = {}
        self.outcome = Outcome()
        self._given = given
        symbols = {each.name: self._asked(each) for each in self._file.declarations if each.kind != "output"}
        self._working = Working(symbols, FUNCTIONS)
        for each in self._file.declarations:
            if each.kind in {"resource", "module"}:
                symbols[each.name]()
        self.outcome.outputs = {each.name: self._working(each.body) for each in self._file.of("output")}

    def _asked(self, declaration: Declaration) -> Callable[[], Any]:
        def once() -> Any:
            if declaration.name not in self._done:
                self._done[declaration.name] = self._worked(declaration)
            return self._done[declaration.name]

        return once

    def _worked(self, declaration: Declaration) -> Any:
        if declaration.kind == "param":
            given = declaration.name in self._given
            return self._given[declaration.name] if given else self._working(declaration.body)
        if declaration.kind in {"var", "targetScope"}:
            return self._working(declaration.body)
        if declaration.condition is not None and not self._working(declaration.condition):
            return None
        make = self._resource if declaration.kind == "resource" else self._called
        if isinstance(declaration.body, Loop):
            rounds = self._working.rounds(declaration.body)
            return [make(declaration, each, declaration.body.body) for each in rounds]
        return make(declaration, self._working, declaration.body)

    def _resource(self, declaration: Declaration, working: Working, body: Any) -> Resource:
        made = working(Pairs(tuple(pair for pair in body.pairs if pair[0] != Literal("dependsOn"))))
        type_ = declaration.type.split("@")[0]
        resource = Resource(type_, self._module, made, declaration.is_existing)
        parent = made.get("parent")
        names = [*(parent.id.split("/")[8::2] if parent else []), made["name"]]
        resource.id = resource_id(type_, *names)
        twelve = hashlib.sha256(resource.id.encode()).hexdigest()[:12]
        resource.said = _filled(SAID_BY_AZURE.get(type_, {}), twelve=twelve, name=resource.name)
        self.outcome.resources.append(resource)
        return resource

    def _called(self, declaration: Declaration, working: Working, body: Any) -> dict[str, Any]:
        given = working(body.get("params") or Pairs(()))
        path = beside(self._file.path, declaration.type)
        inner = Deployment(self._files, path, given, declaration.name)
        self.outcome.resources += inner.outcome.resources
        return {"outputs": inner.outcome.outputs}
