"""Whoever follows ``bicep/README.md`` meets no name that is not there."""

from __future__ import annotations

import re

from tests.bicep.project import ENVIRONMENTS, ROOM, parameters_of, parsed, sources
from tests.bicep.settings import deployed
from tests.bicep.test_figures import SIZES
from tests.bicep.tree import Call, walk

GUIDE = (ROOM / "README.md").read_text()


def asked_by(environment):
    """The variables that a shell needs for it."""
    nodes = walk([each.body for each in parsed()[parameters_of(environment)].declarations])
    return {each.arguments[0].value for each in nodes if isinstance(each, Call)}


def test_every_variable_that_a_shell_needs_is_listed_where_it_is_needed():
    listed: dict[str, set[str]] = {environment: set() for environment in ENVIRONMENTS}
    for names, where in re.findall(r"^\| (`[A-Z_`, ]+`) \|.*\| ([a-z, ]+) \|$", GUIDE, re.MULTILINE):
        for environment in ENVIRONMENTS if where == "all" else where.split(", "):
            listed[environment] |= set(re.findall(r"[A-Z_]+", names))
    assert listed == {environment: asked_by(environment) for environment in ENVIRONMENTS}


def test_every_file_that_is_named_is_there_and_every_module_is_named():
    named = set(re.findall(r"`((?:modules|env)/[\w.]+)`", GUIDE))
    assert named == {path for path in sources() if path.startswith("modules/")}
    for path in re.findall(r"bicep/(env/\w+\.bicepparam)", GUIDE):
        assert path in sources()
    for path in re.findall(r"`(tests/[\w./]+)`", GUIDE):
        assert (ROOM.parent / path).exists()


def test_the_table_of_the_environments_is_true():
    rows = dict(re.findall(r"^\| ([a-z, -]+) \| (.*) \|$", GUIDE, re.MULTILINE))
    cells = {name: [cell.strip() for cell in row.split("|")] for name, row in rows.items()}
    assert cells["cores, memory"] == [f"{SIZES[each][0]}, {SIZES[each][1]}" for each in ENVIRONMENTS]
    assert cells["replicas"] == [f"{SIZES[each][2]} to {SIZES[each][3]}" for each in ENVIRONMENTS]
    days = [parameter_of(each, "retentionDays") for each in ENVIRONMENTS]
    assert cells["forgotten after days"] == [str(each) for each in days]
    on_record = [parameter_of(each, "auditEnabled") for each in ENVIRONMENTS]
    assert cells["on record"] == ["yes" if each else "no" for each in on_record]


def parameter_of(environment, name):
    (found,) = [each for each in parsed()[parameters_of(environment)].of("param") if each.name == name]
    return found.body.value


def test_the_alerts_that_are_said_to_be_silent_are_those_that_wait_for_telemetry():
    rules = deployed("production").of("Microsoft.Insights/scheduledQueryRules")
    silent = {
        each.body["properties"]["displayName"]
        for each in rules
        if each.body["properties"]["criteria"]["allOf"][0]["query"].startswith("App")
    }
    paragraph = GUIDE.partition("alerts are silent for now")[2].partition("\n- ")[0]
    named = set(re.findall(r"`([a-z-]+)`", paragraph)) | {"budget-fast", "budget-slow"}
    assert silent == named
    assert len(silent) == 8
