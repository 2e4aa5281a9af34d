"""What a Dockerfile of ours must say, whoever changes it; and that it is what Bicep expects."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from tests.bicep.settings import app_of, deployed
from tests.image.recipe import ROOT, Stage, expanded, stages

LABELS = frozenset(["title", "description", "licenses", "source", "revision", "version", "base.name"])
SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
BASE = re.compile(r"python:3\.\d+(\.\d+)?-slim-[a-z]+(@sha256:[0-9a-f]{64})?")


def complaints(text: str) -> list[str]:
    found = stages(text)
    return [
        *(complaint for stage in found for complaint in _of_stage(stage)),
        *_of_how_it_starts(found[-1]),
        *_of_labels(found[-1]),
    ]


def _of_stage(stage: Stage) -> Iterator[str]:
    if not BASE.fullmatch(stage.base):
        yield f"FROM {stage.base} is no slim Python of one version and one Debian"
    for step in stage.steps:
        if step.word == "ADD":
            yield "ADD takes apart and fetches what COPY does not"
        if step.word == "COPY" and "." in (source.strip("/") for source in step.arguments[:-1]):
            yield "COPY of everything"
        if step.word in ("ARG", "ENV") and SECRET.search(" ".join(step.arguments[0::3])):
            yield f"{step.word} {step.arguments[0]} would be a secret that everybody can read in the image"
    for command in re.findall(r"\bpip\b[^&;]*", " ".join(step.arguments[0] for step in stage.of("RUN"))):
        if " install " in command and not re.search(
            r" --require-hashes .*-r requirements-\w+\.lock", command
        ):
            yield f"without hashes: {command.strip()}"


def _of_how_it_starts(stage: Stage) -> Iterator[str]:
    users = [step.arguments[0] for step in stage.of("USER")]
    if not users or not re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", users[-1]):
        yield f"USER {users} is root or has no number"
    if [step.arguments[0] for step in stage.of("STOPSIGNAL")] != ["SIGTERM"]:
        yield "STOPSIGNAL is not what the apps drain on"
    for word in ("CMD", "HEALTHCHECK"):
        if [step.is_exec for step in stage.of(word)] != [True]:
            yield f"{word} is not one JSON list, so a shell would take the signals"
    yield from _of_what_bicep_expects(stage)


def _of_what_bicep_expects(stage: Stage) -> Iterator[str]:
    for package in ("broker", "enrichment"):
        properties = app_of(deployed("production"), package).body["properties"]
        (container,) = properties["template"]["containers"]
        command = [word.replace("broker", package) for step in stage.of("CMD") for word in step.arguments]
        if command != container["command"]:
            yield f"CMD is not what Bicep starts {package} with"
        port = properties["configuration"]["ingress"]["targetPort"]
        if [step.arguments[0] for step in stage.of("EXPOSE")] != [str(port)]:
            yield f"EXPOSE is not {port}"
        alive = next(each["httpGet"] for each in container["probes"] if each["type"] == "Liveness")
        asked = " ".join(word for step in stage.of("HEALTHCHECK") for word in step.arguments)
        if f"{alive['port']}," not in asked or f"'{alive['path']}'" not in asked:
            yield f"HEALTHCHECK does not ask {alive['path']} on {alive['port']}"


def _of_labels(stage: Stage) -> Iterator[str]:
    said = {expanded(name, {}) for step in stage.of("LABEL") for name, _ in step.pairs}
    missing = {f"org.opencontainers.image.{name}" for name in LABELS} - said
    if missing:
        yield f"LABEL says nothing of {sorted(missing)}"
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    if f"VERSION={version}" not in [step.arguments[0] for step in stage.of("ARG")]:
        yield f"VERSION is not {version}"
