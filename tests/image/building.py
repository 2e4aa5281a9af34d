"""Carries out a Dockerfile in plain folders, step by step.

What is not known here ends it: no step is passed over.
"""

from __future__ import annotations

import json
import posixpath
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.image.context import Context, context_of
from tests.image.memory import Memory
from tests.image.recipe import ROOT, Stage, Step, expanded, stages
from tests.image.sandbox import BASE_ENVIRONMENT, Inside, new_root

STAND_IN = Path(__file__).parent / "stand_in"
INSTALLED = Path(sysconfig.get_path("purelib"))


class NotCarriedOut(Exception):
    """A step that this builder does not know, or that failed; with what it said."""


@dataclass(slots=True)
class Image:
    """A stage as it is being built: its files in the folder ``name`` of the memory, and how it is started."""

    memory: Memory
    name: str
    environment: dict[str, str] = field(default_factory=lambda: dict(BASE_ENVIRONMENT))
    arguments: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    stop_signal: str = ""

    @property
    def root(self) -> Path:
        """Its files, for whoever looks from outside."""
        return self.memory.seen / self.name

    @property
    def variables(self) -> dict[str, str]:
        """What a step may name: ENV wins over ARG."""
        return self.arguments | self.environment

    def here(self, path: str) -> str:
        """An absolute path, as seen from its working directory."""
        return posixpath.normpath(posixpath.join(self.workdir, path))

    def inside(self, variables: Mapping[str, str], **more: Any) -> Inside:
        """A process in it, as its user, with its variables and those."""
        root = self.memory.folder / self.name
        return Inside(self.memory, root, self.workdir, self.user, {**self.environment, **variables}, **more)


@dataclass(slots=True)
class Build:
    """One run of a Dockerfile. ``given`` are build arguments."""

    context: Context
    memory: Memory
    given: Mapping[str, str] = field(default_factory=dict)
    built: dict[str, Image] = field(default_factory=dict)

    def run(self, text: str) -> Image:
        """The image of the last stage. Raises `NotCarriedOut`."""
        for number, stage in enumerate(stages(text, self.given)):
            if stage.base in self.built:
                raise NotCarriedOut(f"FROM {stage.base}: a stage upon a stage")
            image = Image(self.memory, stage.name or str(number))
            new_root(image.root)
            for step in stage.steps:
                self._carry_out(step, image, stage)
            self.built[image.name] = image
        return image

    def _carry_out(self, step: Step, image: Image, stage: Stage) -> None:
        match step.word:
            case "ARG":
                name, is_given, default = step.arguments[0].partition("=")
                usual = expanded(default, image.variables) if is_given else stage.outer.get(name, "")
                image.arguments[name] = self.given.get(name, usual)
            case "ENV":
                image.environment |= {name: expanded(value, image.variables) for name, value in step.pairs}
            case "LABEL":
                image.labels |= {
                    expanded(name, {}): expanded(value, image.variables) for name, value in step.pairs
                }
            case "WORKDIR":
                image.workdir = image.here(expanded(step.arguments[0], image.variables))
                (image.root / image.workdir[1:]).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(step, image)
            case "RUN":
                self._run(step, image)
            case _:
                _say_how_it_starts(step, image)

    def _copy(self, step: Step, image: Image) -> None:
        if step.flags.keys() - {"from"}:
            raise NotCarriedOut(f"COPY with {step.flags}")
        *sources, target = [expanded(word, image.variables) for word in step.arguments]
        for source in sources:
            if name := step.flags.get("from"):
                found = self.built[name].root / source.lstrip("/")
                _copy_tree(found, _place(image, target, found.name, found.is_dir()))
            else:
                self._copy_context(source, image, target)

    def _copy_context(self, source: str, image: Image, target: str) -> None:
        is_folder = (self.context.folder / source).is_dir()
        for path in self.context.files(source):
            name = posixpath.relpath(path, source) if is_folder else posixpath.basename(path)
            _copy_tree(self.context.folder / path, _place(image, f"{target}/", name, is_folder=False))

    def _run(self, step: Step, image: Image) -> None:
        if step.flags:
            raise NotCarriedOut(f"RUN with {step.flags}")
        words = step.arguments if step.is_exec else ["/bin/sh", "-c", step.arguments[0]]
        # The packages come from what is installed beside these tests: see stand_in/pip.
        inside = image.inside(
            {**image.variables, "PYTHONPATH": "/tmp/stand-in"},
            is_read_only=False,
            readable={"/tmp/stand-in": STAND_IN, "/tmp/installed": INSTALLED},
        )
        done = subprocess.run(inside.command(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotCarriedOut(f"RUN {step.arguments[0]}\n{done.stdout}{done.stderr}")


def rebuilt(place: Memory, text: str, rules: str, **given: str) -> Image:
    """The image of the repository as it stands, by that Dockerfile and that ``.dockerignore``."""
    return Build(context_of(ROOT, rules), place, given).run(text)


def _say_how_it_starts(step: Step, image: Image) -> None:
    match step.word:
        case "USER":
            image.user = step.arguments[0]
        case "STOPSIGNAL":
            image.stop_signal = step.arguments[0]
        case "CMD":
            image.command = _as_list(step)
        case "HEALTHCHECK":
            image.health = _as_list(Step("HEALTHCHECK", {}, step.arguments[1:], step.is_exec))
        case "EXPOSE":
            pass
        case _:
            raise NotCarriedOut(f"{step.word} {json.dumps(list(step.arguments))}")


def _as_list(step: Step) -> list[str]:
    return list(step.arguments) if step.is_exec else ["/bin/sh", "-c", *step.arguments]


def _place(image: Image, target: str, name: str, is_folder: bool) -> Path:
    """Where a thing called ``name`` comes to lie: a folder's content goes into the target, a file beside."""
    there = image.root / image.here(target)[1:]
    return there / name if not is_folder and (target.endswith("/") or there.is_dir()) else there


def _copy_tree(source: Path, target: Path) -> None:
    """With modes and times, as Docker does; all that is copied becomes root's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        words = ["cp", "-r", "--no-target-directory", "--preserve=mode,timestamps,links", source, target]
        subprocess.run(words, check=True)
    else:
        shutil.copy2(source, target)
