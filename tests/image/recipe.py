"""The Dockerfile as its stages: each with what it begins from and its steps, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2b_dockerfile_utils import DockerfileInstruction, ShellLex, parse_dockerfile_ast

ROOT = Path(__file__).parent.parent.parent
RECIPE = (ROOT / "Dockerfile").read_text()


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction. ``is_exec``: a JSON list, which no shell reads."""

    word: str
    flags: Mapping[str, str]
    arguments: Sequence[str]
    is_exec: bool

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Of ENV and LABEL: names and values, quoted and unexpanded."""
        return list(zip(self.arguments[0::3], self.arguments[1::3], strict=True))


@dataclass(frozen=True, slots=True)
class Stage:
    """``base`` is another stage's name or an image's. ``outer`` are the ARGs that stand above every stage."""

    name: str
    base: str
    outer: Mapping[str, str]
    steps: list[Step] = field(default_factory=list)

    def of(self, word: str) -> list[Step]:
        return [step for step in self.steps if step.word == word]


def stages(text: str, given: Mapping[str, str] | None = None) -> list[Stage]:
    """The stages in order. ``given`` are build arguments. Raises ValueError for what is no Dockerfile."""
    given = given or {}
    outer: dict[str, str] = {}
    found: list[Stage] = []
    for each in parse_dockerfile_ast(text).instructions:
        if each.name == "FROM":
            base, name = _from(each.args)
            found.append(Stage(name, expanded(base, outer), outer))
        elif found:
            found[-1].steps.append(_step(each))
        else:
            name, _, default = each.args[0].partition("=")
            outer[name] = given.get(name, expanded(default, outer))
    return found


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """As Docker reads a word: variables put in, quotes gone; one that is not set is nothing."""
    return ShellLex("\\", env=variables, skip_unset_env=False).process_word(text)


def _from(words: Sequence[str]) -> tuple[str, str]:
    if len(words) == 3 and words[1].upper() == "AS":
        return words[0], words[2]
    (base,) = words
    return base, ""


def _step(each: DockerfileInstruction) -> Step:
    if each.heredocs:
        raise ValueError(f"line {each.start_line}: here documents are not read here")
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in each.flags)
    return Step(each.name, flags, each.args, each.json)
