"""The Dockerfile, its .dockerignore and its locks as files; and what reads them here."""

from __future__ import annotations

import os
import re
import tomllib

import pytest
from packaging.requirements import Requirement

from tests.image.building import Build, NotCarriedOut
from tests.image.checks import complaints
from tests.image.context import context_of
from tests.image.memory import Memory
from tests.image.recipe import RECIPE, ROOT, expanded, stages
from tests.image.stand_in.pip.__main__ import pinned

RULES = (ROOT / ".dockerignore").read_text()
SHIPPED = ("postgres", "zep-cloud", "azure-monitor")
SEEN = [
    *("broker/app.py", "broker/edge/serving.py", "broker/instructions/elena.md", "enrichment/memory/zep.py"),
    *("LICENSE", "pyproject.toml", "requirements-image.lock", "requirements-sbom.lock"),
]
UNSEEN = [
    *(".env", ".env.local", ".git/config", ".data/outbox.db", "README.md", "requirements.lock"),
    *("broker/.env", "broker/.secret.py", "broker/key.pem", "broker/notes.md", "broker/__pycache__/a.pyc"),
    *("tests/test_app.py", "tests/.env", "web/index.html", "bicep/env/broker.py", "brokers/app.py"),
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_dockerfile_says_what_it_must():
    assert complaints(RECIPE) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("USER 10001:10001\n", "", "USER"),
        ("USER 10001:10001", "USER root", "USER"),
        ("USER 10001:10001", "USER 0:0", "USER"),
        (" --require-hashes", "", "without hashes"),
        ("-r requirements-image.lock", "starlette", "without hashes"),
        ("COPY LICENSE ./", "COPY . .", "COPY of everything"),
        ("COPY LICENSE ./", "ADD LICENSE ./", "ADD"),
        ("python:3.13-slim-trixie\n\n", "python:latest\n\n", "FROM python:latest"),
        ("ARG SOURCE=", "ARG ZEP_API_KEY=", "secret"),
        ("STOPSIGNAL SIGTERM", "STOPSIGNAL SIGQUIT", "STOPSIGNAL"),
        ("EXPOSE 8080", "EXPOSE 8000", "EXPOSE"),
        ('CMD ["python", "-m", "broker", ', "CMD python -m broker # ", "CMD is not one JSON list"),
        ('"0.0.0.0", "--port", "8080"', '"127.0.0.1", "--port", "8080"', "CMD is not what Bicep"),
        ("'127.0.0.1', 8080", "'127.0.0.1', 8081", "HEALTHCHECK does not ask"),
        ("org.opencontainers.image.revision", "revision", "LABEL"),
        ("VERSION=0.1.0", "VERSION=0.0.9", "VERSION"),
    ],
)
def test_a_dockerfile_that_says_otherwise_is_complained_about(old, new, complaint):
    assert old in RECIPE
    assert any(complaint in each for each in complaints(RECIPE.replace(old, new)))


def test_whoever_builds_can_name_the_bytes_of_the_base():
    exact = f"python:3.13-slim-trixie@sha256:{'0' * 64}"
    assert {stage.base for stage in stages(RECIPE, {"PYTHON_IMAGE": exact})} == {exact}


def test_a_build_sees_sources_and_locks_and_no_file_that_only_lies_beside_them(tmp_path):
    for name in [*SEEN, *UNSEEN]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert context_of(tmp_path, RULES).files() == sorted(SEEN)
    assert ".env" in context_of(tmp_path, RULES.replace("\n*\n", "\n").replace("**/.*", "")).files()


def test_what_no_rule_lets_through_cannot_be_copied(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/secret.py").touch()
    with pytest.raises(FileNotFoundError, match="tests"):
        context_of(tmp_path, RULES).files("tests/")


@pytest.mark.parametrize("name", ["requirements-image.lock", "requirements-sbom.lock"])
def test_what_the_image_is_made_with_is_what_the_tests_ran_with(name):
    """By version and by each hash."""
    all_of_it = blocks("requirements.lock")
    for pin, hashes in blocks(name).items():
        assert hashes, pin
        assert all_of_it[pin] == hashes


def test_the_image_gets_what_production_needs_and_no_tool_of_ours():
    locked = {pin.partition("==")[0] for pin in blocks("requirements-image.lock")}
    extras = PROJECT["optional-dependencies"]
    shipped = [*PROJECT["dependencies"], *(each for extra in SHIPPED for each in extras[extra])]
    assert names(shipped) <= locked
    # Azure's exporter measures with the one, and uvicorn may read its logging out of the other.
    assert names(extras["dev"]) & locked == {"psutil", "pyyaml"}


def blocks(name):
    """``name==version`` -> the hashes that a lock has for it."""
    found = re.findall(
        r"^([^\s#;]+==\S+)[^\\\n]*\\\n((?:    --hash=\S+(?: \\)?\n)+)", (ROOT / name).read_text(), re.M
    )
    assert len(found) == (ROOT / name).read_text().count("==") - (ROOT / name).read_text().count("== '")
    return {pin: frozenset(re.findall(r"sha256:\w{64}", hashes)) for pin, hashes in found}


def names(requirements):
    return {Requirement(each).name.lower() for each in requirements}


def test_a_lock_with_a_line_that_has_no_hash_is_installed_by_nobody():
    with pytest.raises(SystemExit, match="no hash: starlette"):
        pinned("starlette==1.10.0\n")


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\nVOLUME /data",
        "FROM a\nADD x /",
        "FROM a\nENTRYPOINT sh",
        "FROM a\nCOPY --chown=1 x /",
        "FROM a\nRUN --mount=type=secret,id=x true",
        "FROM a AS b\nFROM b\n",
    ],
)
def test_a_step_that_is_not_known_here_ends_the_rebuilding(tmp_path, text):
    place = Memory(tmp_path, holder=os.getpid())
    with pytest.raises(NotCarriedOut):
        Build(context_of(tmp_path, ""), place).run(text)


def test_variables_are_put_in_as_docker_does():
    assert expanded('"${A}/$B" ${C:-c}$D', {"A": "a", "B": "b"}) == "a/b c"
    first, second = stages("ARG A=1\nARG B=${A}2\nFROM x:$B AS y\nFROM z", {"A": "3"})
    assert (first.name, first.base, second.base) == ("y", "x:32", "z")
