"""What the README and the examples say is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

import broker.app
import broker.routes
import enrichment.app
import enrichment.routes
from broker.edge.problems import EDGE_PROBLEMS
from broker.edge.settings import SharedSettings
from broker.settings import Settings as BrokerSettings
from enrichment.settings import Settings as EnrichmentSettings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def documented() -> dict[str, tuple[str, str]]:
    """Variable -> (whose it is, its default) as the README's table has them."""
    row = re.compile(r"^\| `([A-Z_0-9]+)` \| (both|broker|enrichment) \| (.+?) \|", re.MULTILINE)
    return {name: (owner, default.strip("`")) for name, owner, default in row.findall(README)}


def owner_of(name: str) -> str:
    if name in SharedSettings.model_fields:
        return "both"
    return "broker" if name in BrokerSettings.model_fields else "enrichment"


def default_of(name: str) -> str:
    field = (BrokerSettings.model_fields | EnrichmentSettings.model_fields)[name]
    if field.default is None or field.default is PydanticUndefined:
        return "–"
    if isinstance(field.default, bool):
        return str(field.default).lower()
    return "[]" if field.default in (frozenset(), ()) else str(field.default)


def test_the_settings_table_lists_every_setting_with_its_owner_and_default():
    names = BrokerSettings.model_fields | EnrichmentSettings.model_fields
    assert documented() == {name.upper(): (owner_of(name), default_of(name)) for name in names}


def test_every_setting_of_the_example_exists():
    names = re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert set(names) <= documented().keys()


@pytest.mark.parametrize("table", [EDGE_PROBLEMS, broker.app.PROBLEMS, enrichment.app.PROBLEMS])
def test_every_problem_type_is_documented_with_its_status(table):
    section = README.partition("| `urn:voicelive:problem:…`")[2].partition("## Settings")[0]
    for problem in table.values():
        (line,) = [line for line in section.splitlines() if f"`{problem.name}`" in line]
        assert str(problem.status) in line


@pytest.mark.parametrize("routes", [broker.routes.ROUTES, enrichment.routes.ROUTES])
def test_every_route_is_documented(routes):
    for path in _paths(routes):
        short = path.split("{")[0].removesuffix("/")
        assert short in README or f"…/{path.split('/', 3)[-1]}" in README, path


def _paths(routes, prefix=""):
    for route in routes:
        if route.path.startswith("/api/"):
            continue
        if hasattr(route, "routes") and route.routes:
            yield from _paths(route.routes, prefix + route.path)
        else:
            yield prefix + route.path


def test_the_tour_names_files_that_exist():
    tour = README.partition("## The tour")[2].partition("## What always holds")[0]
    for name in re.findall(r"`((?:web|broker|enrichment|tests)/[\w./-]+)`", tour):
        assert (ROOT / name).exists(), name


def test_every_make_target_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", README)) <= targets


def test_ci_runs_what_the_readme_names_and_nothing_else():
    commands = [
        line for line in (ROOT / ".ci/run").read_text().splitlines() if "make" in line and line[0] != "#"
    ]
    assert commands == ["exec make check test"]
    assert "make test" in README
    assert "`check`" in README
