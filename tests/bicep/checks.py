"""What must hold of the files themselves. Each check answers with its complaints; none is good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.bicep.azure import ROLES, VERSIONS
from tests.bicep.functions import DECORATORS, FUNCTIONS, METHODS
from tests.bicep.project import MAIN, Files, beside
from tests.bicep.tree import Call, Declaration, File, Lambda, Literal, Loop, Member, Name, Pairs, Text, walk

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a key looks like, whoever made it: long and without a word, or behind a word that says so.
SECRET = re.compile(
    r"-----BEGIN|AccountKey=|\beyJ|\bek_|\bsk-|hooks\.slack\.com/services/|(?i:password|pwd)=\S"
    r"|\b[0-9a-fA-F]{32,}\b|[A-Za-z0-9+/]{40,}={0,2}$"
)

CALLED_SECRET = re.compile(r"(?i)(password|key|secrets|token|pagerDutyUrl|slackUrl)$")


def properties(declaration: Declaration) -> Pairs:
    """The object that is deployed, of a loop the one of each round."""
    body = declaration.body.body if isinstance(declaration.body, Loop) else declaration.body
    assert isinstance(body, Pairs)
    return body


def modules_are_called_as_they_are_declared(files: Files) -> Iterator[str]:
    for path, file in files.items():
        for call in file.of("module"):
            called = files.get(beside(path, call.type))
            if called is None:
                yield f"{path}:{call.line} {call.name}: there is no {call.type}"
                continue
            given = (properties(call).get("params") or Pairs(())).keys()
            yield from _given_as_declared(f"{path}:{call.line} {call.name}", given, called)


def _given_as_declared(where: str, given: list[str], called: File) -> Iterator[str]:
    declared = {each.name: each for each in called.of("param")}
    for name in given:
        if name not in declared:
            yield f"{where}: {called.path} has no parameter {name}"
    for name, each in declared.items():
        if each.body is None and name not in given:
            yield f"{where}: {name} is required and not given"


def every_symbol_resolves(files: Files) -> Iterator[str]:
    for path, file in files.items():
        known = {each.name for each in file.declarations if each.kind != "output"}
        for each in file.declarations:
            if path.endswith(".bicep"):
                parts = (each.body, each.condition)
                yield from (f"{path}:{each.line} {each.name}: {wrong}" for wrong in _unknown(parts, known))
        yield from _outputs_that_are_none(files, file)


def _unknown(node: Any, known: set[str]) -> Iterator[str]:
    """Names and functions that nobody declared; loops and lambdas declare some for what is inside."""
    if isinstance(node, Name) and node.name not in known:
        yield f"nothing is called {node.name}"
    if isinstance(node, Call) and node.name not in (FUNCTIONS if node.of is None else METHODS):
        yield f"no function is called {node.name}"
    if isinstance(node, Loop):
        yield from _unknown(node.over, known)
        yield from _unknown(node.body, known | set(node.names))
    elif isinstance(node, Lambda):
        yield from _unknown(node.body, known | set(node.names))
    elif isinstance(node, tuple):
        for each in node:
            yield from _unknown(each, known)
    elif hasattr(node, "__dataclass_fields__"):
        for name in node.__dataclass_fields__:
            yield from _unknown(getattr(node, name), known)


def _outputs_that_are_none(files: Files, file: File) -> Iterator[str]:
    modules = {each.name: each for each in file.of("module")}
    for node in walk([each.body for each in file.declarations]):
        match node:
            case Member(Member(Name(module), "outputs"), output) if module in modules:
                called = files.get(beside(file.path, modules[module].type))
                if called and output not in {each.name for each in called.of("output")}:
                    yield f"{file.path}: {modules[module].type} puts out no {output}"


def nothing_is_declared_in_vain(files: Files) -> Iterator[str]:
    for path, file in files.items():
        used = {
            node.name for node in walk([(d.body, d.condition) for d in file.declarations]) if _is_name(node)
        }
        for each in file.declarations:
            if path.endswith(".bicep") and each.kind in {"param", "var"} and each.name not in used:
                yield f"{path}:{each.line} {each.name} is never used"


def _is_name(node: Any) -> bool:
    return isinstance(node, Name)


def nothing_is_declared_twice(files: Files) -> Iterator[str]:
    for path, file in files.items():
        names = [each.name for each in file.declarations if each.kind != "output"]
        yield from (f"{path}: {name} is declared twice" for name in set(names) if names.count(name) > 1)


def decorators_exist(files: Files) -> Iterator[str]:
    for path, file in files.items():
        for each in file.declarations:
            for call in each.decorators:
                if call.name not in DECORATORS:
                    yield f"{path}:{each.line} there is no decorator {call.name}"


def versions_are_those_looked_up(files: Files) -> Iterator[str]:
    for path, file in files.items():
        for each in file.of("resource"):
            type_, _, version = each.type.partition("@")
            if VERSIONS.get(type_) != version:
                yield f"{path}:{each.line} {each.type} is not in the table"


def roles_are_those_looked_up(files: Files) -> Iterator[str]:
    for path, file in files.items():
        for node in walk([each.body for each in file.declarations]):
            if isinstance(node, Literal) and GUID.fullmatch(str(node.value)) and node.value not in ROLES:
                yield f"{path}: {node.value} is no role of the table"


def no_secret_is_written_down(files: Files) -> Iterator[str]:
    for path, file in files.items():
        texts = [
            node
            for node in walk([each.body for each in file.declarations])
            if isinstance(node, Literal | Text)
        ]
        for node in texts:
            for text in [node.value] if isinstance(node, Literal) else node.parts:
                if isinstance(text, str) and SECRET.search(text) and not GUID.fullmatch(text):
                    yield f"{path}: {text[:12]!r}… looks like a secret"
        for each in file.of("param"):
            if each.decorator("secure") and each.body not in (None, Literal("")):
                yield f"{path}:{each.line} {each.name} is secret and has a value"


def what_is_called_a_secret_is_one(files: Files) -> Iterator[str]:
    """A parameter that is not secure stands in the history of deployments, for every reader of the group."""
    for path, file in files.items():
        for each in file.of("param"):
            if path.endswith(".bicep") and CALLED_SECRET.search(each.name) and not each.decorator("secure"):
                yield f"{path}:{each.line} {each.name} is not secure"


def secrets_stay_secret(files: Files) -> Iterator[str]:
    """What a secure parameter flows into is a secure parameter too, or Azure's own; never an output."""
    for path, file in files.items():
        secret = _secret_names(file)
        for each in file.of("output"):
            if secret & _names(each.body):
                yield f"{path}:{each.line} the output {each.name} tells a secret"
        for call in file.of("module"):
            called = files.get(beside(path, call.type))
            for key, value in (properties(call).get("params") or Pairs(())).pairs:
                open_ = {p.name for p in called.of("param") if not p.decorator("secure")} if called else set()
                if key.value in open_ and secret & _names(value):
                    yield f"{path}:{call.line} {call.name}: {key.value} gets a secret and is not secure"


def _secret_names(file: File) -> set[str]:
    """Secure parameters, and variables that were made of them."""
    secret = {each.name for each in file.of("param") if each.decorator("secure")}
    for each in file.of("var"):  # a variable may only use earlier ones here
        if secret & _names(each.body):
            secret.add(each.name)
    return secret


def _names(node: Any) -> set[str]:
    return {each.name for each in walk(node) if isinstance(each, Name)}


def parameter_files_fit(files: Files) -> Iterator[str]:
    declared = {each.name: each for each in files[MAIN].of("param")}
    for path, file in files.items():
        if not path.endswith(".bicepparam"):
            continue
        if file.using is None or beside(path, file.using) != MAIN:
            yield f"{path} is for {file.using}"
        yield from _given_as_declared(path, [each.name for each in file.of("param")], files[MAIN])
        for each in file.of("param"):
            if each.name in declared:
                yield from (f"{path}: {each.name} {w}" for w in _wrong_value(each.body, declared[each.name]))


def _wrong_value(value: Any, declared: Declaration) -> Iterator[str]:
    is_asked = isinstance(value, Call) and value.name == "readEnvironmentVariable"
    if declared.decorator("secure"):
        if not is_asked:
            yield "is secret and must come from the shell"
        return
    if isinstance(value, Call) and not is_asked:
        yield f"is made by {value.name}"
    kind = "string" if is_asked else _type_of(value)
    if kind != declared.type:
        yield f"is {kind} and must be {declared.type}"
        return
    allowed = declared.decorator("allowed")
    if allowed and value not in allowed.arguments[0].items:
        yield f"must not be {value.value!r}"
    for name, is_wrong in (("minValue", int.__lt__), ("maxValue", int.__gt__)):
        bound = declared.decorator(name)
        if bound and is_wrong(value.value, bound.arguments[0].value):
            yield f"is beyond {name}"


def _type_of(value: Any) -> str:
    if isinstance(value, Literal):
        kinds: dict[type, str] = {bool: "bool", int: "int", str: "string"}
        return kinds.get(type(value.value), "null")
    return {"Text": "string", "Items": "array", "Loop": "array", "Pairs": "object"}[type(value).__name__]


CHECKS = (
    modules_are_called_as_they_are_declared,
    every_symbol_resolves,
    nothing_is_declared_in_vain,
    nothing_is_declared_twice,
    decorators_exist,
    versions_are_those_looked_up,
    roles_are_those_looked_up,
    no_secret_is_written_down,
    what_is_called_a_secret_is_one,
    secrets_stay_secret,
    parameter_files_fit,
)
