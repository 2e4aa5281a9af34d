"""Whoever follows ``bicep/README.md`` meets no name that is not there."""

from __future__ import annotations

import re

import pytest

from broker.app import PROBLEMS as BROKER_PROBLEMS
from broker.edge.metrics import templates
from broker.edge.problems import EDGE_PROBLEMS
from broker.edge.telemetry import FIELDS
from broker.minting.outcomes import Verdict
from broker.routes import ROUTES as BROKER_ROUTES
from enrichment.routes import ROUTES as ENRICHMENT_ROUTES
from tests.bicep.guide import blocks, commands, complaint_about, events, inline, undefined
from tests.bicep.project import ENVIRONMENTS, ROOM, parameters_of, parsed, sources
from tests.bicep.settings import SETTINGS, app_of, container_of, deployed
from tests.bicep.test_alerts import alerts_of
from tests.bicep.test_figures import SIZES
from tests.bicep.tree import Call, walk

GUIDE = (ROOM / "README.md").read_text()


def asked_by(environment):
    """The variables that a shell needs for it."""
    nodes = walk([each.body for each in parsed()[parameters_of(environment)].declarations])
    calls = [each for each in nodes if isinstance(each, Call)]
    return {each.arguments[0].value for each in calls if len(each.arguments) == 1}  # a second is a default


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
    for path in re.findall(r"`((?:tests|broker|enrichment|web)/[\w./-]+)`", GUIDE):
        assert (ROOM.parent / path).exists(), path


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


def test_every_command_is_one():
    found = list(commands(GUIDE))
    assert len(found) > 30
    assert [wrong for words in found if (wrong := complaint_about(words))] == []


def test_nothing_is_used_that_was_not_given_a_value_before():
    assert list(undefined(GUIDE)) == []


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        ('az containerapp restart --name "x"', "no such command: az containerapp restart"),
        ("az containerapp logs show --lines 3", "az containerapp logs show has no --lines"),
        ("python -m broker audit verify --databases", "does not know audit verify --databases"),
        ("python -m enrichment outbox clear", "does not know outbox clear"),
        ("python -m tests.local", "no package of ours: tests.local"),
        ("kubectl get pods", "nobody knows kubectl"),
        ("make pictures", "there is nothing to make: pictures"),
        ('X="$(az group delete --name x)"', "no such command: az group delete"),
    ],
)
def test_a_command_that_is_none_is_noticed(block, complaint, capsys):
    said = [complaint_about(words) for words in commands(f"```sh\n{block}\n```")]
    assert any(complaint in (each or "") for each in said), said


def test_a_variable_without_a_value_is_noticed():
    told = 'A=1\necho "$A" "$B"\nfor c in x; do\n  echo "$c"\ndone\n'
    assert list(undefined(f"```sh\n{told}```\nSee `curl $D`.")) == ["B", "D"]


def test_every_output_and_every_address_that_is_asked_for_is_there():
    outputs = deployed("test").outputs
    for name in re.findall(r"properties\.outputs\.(\w+)\.value", GUIDE):
        assert name in outputs
        assert name[0].islower(), "Azure changes the case of names in capitals"
    routes = {
        "BROKER": templates(BROKER_ROUTES).values(),
        "ENRICHMENT": templates(ENRICHMENT_ROUTES).values(),
    }
    asked = re.findall(r'"\$(BROKER|ENRICHMENT)(/[^"]*)"', GUIDE)
    assert len(asked) >= 5
    for service, path in asked:
        assert re.sub(r"\$(\w+)", lambda name: f"{{{name[1].lower()}}}", path) in routes[service]


def test_names_of_resources_are_those_that_are_made():
    made = {each.name for each in deployed("test").resources}
    for name in re.findall(r'"\$PREFIX(-env-[a-z]+)"', GUIDE):
        assert f"test{name}" in made
    (account,) = deployed("test").of("Microsoft.Storage/storageAccounts")
    assert account.name.startswith("testanchors")


def test_every_event_field_and_problem_that_is_named_is_one():
    queries = "\n".join(blocks(GUIDE))
    assert set(re.findall(r'event\) == "([\w.]+)"', queries)) <= events()
    assert set(re.findall(r"\bline\.(\w+)", queries)) <= FIELDS
    dotted = {name for name in inline(GUIDE) if re.fullmatch(r"[a-z]+\.[a-z]+", name)}
    files = {name for name in dotted if (ROOM / name).exists() or (ROOM.parent / name).exists()}
    assert dotted - files <= events() | {"mint.attempt"}
    problems = {each.name for each in (EDGE_PROBLEMS | BROKER_PROBLEMS).values()}
    assert {"not-signed-in", "mint-throttled", "too-many-requests"} <= problems & set(inline(GUIDE))


def test_every_verdict_is_one_that_the_probe_gives():
    named = re.findall(r"probe`: ((?:\*[a-z ]+\*(?:, )?)+)", GUIDE)
    verdicts = {word for each in named for word in re.findall(r"\*([a-z ]+)\*", each)}
    assert len(verdicts) >= 8
    assert verdicts <= {str(each) for each in Verdict}


def test_every_setting_that_is_named_is_one_or_a_parameter():
    known = {name.upper() for each in SETTINGS.values() for name in each.model_fields}
    asked = {name for environment in ENVIRONMENTS for name in asked_by(environment)}
    named = {name for name in inline(GUIDE) if re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)+", name)}
    known |= set(re.findall(r"vars\.(\w+)", (ROOM.parent / ".github/workflows/deploy.yml").read_text()))
    known |= set(re.findall(r"^ARG (\w+)", (ROOM.parent / "Dockerfile").read_text(), re.MULTILINE))
    assert named <= known | asked
    parameters = {each.name for each in parsed()["main.bicep"].of("param")}
    camel = {name for name in inline(GUIDE) if re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)}
    assert camel <= parameters | {"accessToken", "sessionStorage"}


def test_there_is_a_first_look_for_every_alert():
    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| .+ \| .+ \|$", GUIDE, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`([a-z-]+)`", row)} == alerts_of(
        deployed("uat")
    ).keys()


def test_the_quantities_that_are_paid_for_are_those_that_are_made():
    rows = {
        name: cells.split(" | ")
        for name, cells in re.findall(r"^\| ([\w -]+) \| (.*) \|$", GUIDE, re.MULTILINE)
    }
    for at, environment in enumerate(ENVIRONMENTS):
        outcome = deployed(environment)
        apps = [app_of(outcome, package) for package in ("broker", "enrichment")]
        cores = sum(container_of(app)["resources"]["cpu"] for app in apps) * SIZES[environment][2]
        assert number(rows["vCPU-seconds of replicas at least"][at]) == cores * 30 * 86_400
        assert number(rows["GiB-seconds of replicas at least"][at]) == 2 * cores * 30 * 86_400
        assert number(rows["private endpoints"][at]) == len(outcome.of("Microsoft.Network/privateEndpoints"))
        assert number(rows["alert rules"][at]) == len(alerts_of(outcome))
        (server,) = outcome.of("Microsoft.DBforPostgreSQL/flexibleServers")
        servers = 2 if server.body["properties"]["highAvailability"]["mode"] == "ZoneRedundant" else 1
        assert rows["PostgreSQL servers"][at] == f"{servers} × {server.body['sku']['name']}"
        seconds = cores * 30 * 86_400
        dollars = 0.000024 * max(0, seconds - 180_000) + 0.000003 * max(0, 2 * seconds - 360_000)
        assert number(rows["dollars for replicas at least"][at]) == int(dollars)
        assert number(rows["dollars for private endpoints"][at]) == round(
            number(rows["private endpoints"][at]) * 30 * 24 * 0.01
        )


def number(cell):
    return int(cell.replace(" ", ""))
