"""A deployment, step by step, with an Azure that is made up: what is done in which order, failures too."""

from __future__ import annotations

import json
import re

import pytest

from tests.bicep.project import ENVIRONMENTS, parameters_of, sources
from tests.bicep.settings import app_of, container_of, deployed
from tests.bicep.test_guide import asked_by
from tests.pipelines.checks import ROOT
from tests.pipelines.published import as_azure_prints
from tests.pipelines.running import GitHub
from tests.pipelines.workflows import workflow

OUTPUTS = deployed("test").outputs
BROKER, ENRICHMENT = "test-env-broker", "test-env-enrichment"
IMAGE = "registry.azurecr.io/voicelive@sha256:built"
# Tabs are commas and lines are semicolons: what is said of one thing is one line.
BEFORE = f"{BROKER},{BROKER}--old;{ENRICHMENT},{ENRICHMENT}--older;"
PAGE = (
    f"content-security-policy: connect-src {OUTPUTS['brokerUrl']};"
    f'<meta name="broker" content="{OUTPUTS["brokerUrl"]}">;'
)
SAYS = {"outputs": json.dumps(as_azure_prints(OUTPUTS)), "before": BEFORE, "page": PAGE}


def given(environment):
    """What somebody has put into the environment of GitHub: everything."""
    names = asked_by(environment)
    values = {f"{kind}.{name}": f"https://{name}.example" for kind in ("vars", "secrets") for name in names}
    return values | {
        "inputs.environment": environment,
        "vars.RESOURCE_GROUP": "voice",
        "vars.REGISTRY_NAME": "registry",
        "needs.plan.outputs.image": IMAGE,
    }


@pytest.fixture
def github(tmp_path):
    def run(**says):
        return GitHub(
            tmp_path, SAYS | {key.replace("_", "-"): text for key, text in says.items()}, given("test")
        )

    return run


def asked_in_order(run):
    return [line for line in run.asked if not line.startswith(("azure/", "actions/"))]


def rolled_back(run):
    return [tuple(line.split()[i] for i in (7, 9)) for line in run.asked if "revision copy" in line]


def test_the_plan_builds_the_image_and_shows_what_would_change_before_anybody_approves(github):
    run = github()
    assert run.job("deploy", "plan"), run.printed
    commands = [" ".join(line.split()[:4]) for line in asked_in_order(run)]
    assert commands == [
        "docker buildx create --use",
        "docker buildx imagetools inspect",
        "az acr login --name",
        "docker buildx build --platform",
        "az deployment group what-if",
    ]
    known = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    passed = dict(re.findall(r"--build-arg (\w+)=(\S+)", run.asked[-2]))
    assert passed.keys() == {"PYTHON_IMAGE", "REVISION", "SOURCE"} <= set(known)
    assert re.fullmatch(r"python:[\w.-]+@sha256:base", passed["PYTHON_IMAGE"])
    assert "--provenance=mode=max" in run.asked[-2]
    assert "--parameters bicep/env/test.bicepparam --validation-level ProviderNoRbac" in run.asked[-1]
    assert IMAGE in run.summary
    assert "Microsoft.App/containerApps/test" in run.summary
    assert run.outputs["needs.plan.outputs.image"] == IMAGE


def test_before_approval_there_is_no_secret_and_after_it_there_is_a_reviewer_to_wait_for():
    jobs = workflow("deploy")["jobs"]
    assert "secrets." not in str(jobs["plan"])
    assert "secrets." in str(jobs["apply"])
    assert jobs["plan"]["environment"]["name"] == "${{ inputs.environment }}-plan"
    assert jobs["apply"]["environment"] == "${{ inputs.environment }}"
    assert jobs["apply"]["needs"] == "plan"


def test_what_was_planned_is_applied_asked_whether_it_works_and_then_the_page_is_published(github):
    run = github(outputs=json.dumps(as_azure_prints(OUTPUTS | {"usersName": "test-env-users"})))
    assert run.job("deploy", "apply"), run.printed
    commands = [" ".join(line.split()[:4]) for line in asked_in_order(run)]
    assert commands == [
        "az containerapp list --resource-group",
        "az deployment group create",
        f"with {IMAGE}",
        "az containerapp job start",
        "az containerapp job execution",
        "az containerapp show --resource-group",
        f"curl {OUTPUTS['brokerUrl']}/ready",
        "az containerapp show --resource-group",
        f"curl {OUTPUTS['ENRICHMENT_URL']}/ready",
        "az containerapp job start",
        "az containerapp job execution",
        "az staticwebapp secrets list",
        "Azure/static-web-apps-deploy key-of-the-page upload published",
        f"curl {OUTPUTS['CORS_ORIGINS'][2:-2]}/",
    ]
    jobs = [line.split()[7] for line in run.asked if "job start" in line]
    assert jobs == ["test-env-users", f"{BROKER}-probe"]
    assert (run.folder / "published" / "index.html").exists()
    assert "::add-mask::key-of-the-page" in run.printed


@pytest.mark.parametrize(
    "says",
    [
        {"create": "fails"},
        {"curl": "fails"},
        {f"ready-{ENRICHMENT}": "false"},
        {f"{BROKER}-probe": "Failed"},
        {f"{BROKER}-probe": "Running"},
    ],
    ids=lambda says: "-".join(map(str, *says.items())),
)
def test_when_it_fails_each_app_goes_back_to_its_own_revision_and_no_page_is_published(says, github):
    run = github(**says)
    assert not run.job("deploy", "apply")
    assert rolled_back(run) == [(BROKER, f"{BROKER}--old"), (ENRICHMENT, f"{ENRICHMENT}--older")]
    assert "Azure/static-web-apps-deploy" not in "\n".join(run.asked)
    if says == {f"{BROKER}-probe": "Failed"}:
        waits = [
            line for line in run.asked if f"execution show --resource-group voice --name {BROKER}" in line
        ]
        assert len(waits) == 1  # what has failed is not waited for
    assert ('{"works": false}' in run.printed) is (f"{BROKER}-probe" in says)  # what the probe said


def test_an_app_that_cannot_go_back_does_not_keep_the_other_from_it(github):
    run = github(curl="fails", **{f"copy-{BROKER}": "fails"})
    assert not run.job("deploy", "apply")
    assert [app for app, _ in rolled_back(run)] == [BROKER, ENRICHMENT]
    assert f"::error::{BROKER} stays {BROKER}--new" in run.printed


@pytest.mark.parametrize("before", ["", f"{BROKER},None;{ENRICHMENT},;"])
def test_a_first_deployment_has_nothing_to_go_back_to(before, github):
    run = github(before=before, curl="fails")
    assert not run.job("deploy", "apply")
    assert rolled_back(run) == []


@pytest.mark.parametrize("before", ["", f"{BROKER},None;{ENRICHMENT},;"])
def test_a_first_deployment_that_waits_for_users_gets_them_and_is_asked_for_once_more(before, github):
    run = github(before=before, create="once", jobs="test-env-users")
    assert run.job("deploy", "apply"), run.printed
    applied = [line for line in run.asked if "group create" in line or "job start" in line]
    assert [line.split()[7] for line in applied[1:2]] == ["test-env-users"]
    assert ["group create" in line for line in applied] == [True, False, True, False]


@pytest.mark.parametrize(
    "says",
    [
        {"create": "fails", "before": "", "jobs": "test-env-users"},
        {"create": "once", "before": "", "jobs": ""},
        {"create": "once", "jobs": "test-env-users"},
    ],
    ids=["fails again", "there is no job", "something served before"],
)
def test_any_other_deployment_that_fails_has_failed(says, github):
    run = github(**says)
    assert not run.job("deploy", "apply")
    assert len([line for line in run.asked if "group create" in line]) == 1 + (says["create"] == "fails")


def test_an_app_that_was_not_touched_is_left_alone(github):
    run = github(create="fails", **{f"latest-{BROKER}": f"{BROKER}--old"})
    assert not run.job("deploy", "apply")
    assert rolled_back(run) == [(ENRICHMENT, f"{ENRICHMENT}--older")]


def test_a_page_that_is_not_the_one_that_was_put_together_is_told_and_the_apps_stay(github):
    run = github(page="an older page")
    assert not run.job("deploy", "apply")
    assert "does not show the page that was published" in run.printed
    assert rolled_back(run) == []


def test_a_secret_that_github_does_not_have_stops_it_before_it_begins(github):
    run = github()
    run.values["secrets.AUDIT_KEY"] = ""
    assert not run.job("deploy", "apply")
    assert "::error::the GitHub environment test lacks AUDIT_KEY" in run.printed
    assert "deployment group create" not in "\n".join(run.asked)


def test_every_variable_that_an_environment_asks_for_is_passed_on_and_no_other():
    (step,) = [each for each in workflow("deploy")["jobs"]["apply"]["steps"] if each.get("name") == "Apply"]
    read = "\n".join(sources()[parameters_of(environment)] for environment in ENVIRONMENTS)
    assert set(step["env"]) == set(re.findall(r"readEnvironmentVariable\('(\w+)'", read))
    assert workflow("deploy")["on"]["workflow_dispatch"]["inputs"]["environment"]["options"] == [
        *ENVIRONMENTS
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_probe_has_the_broker_s_image_identity_and_settings(environment):
    broker = app_of(deployed(environment), "broker")
    (probe,) = [
        each for each in deployed(environment).of("Microsoft.App/jobs") if each.name == f"{broker.name}-probe"
    ]
    assert probe.body["identity"] == broker.body["identity"]
    assert len(probe.name) <= 32
    of_both = ("env", "image")
    assert [container_of(probe)[part] for part in of_both] == [container_of(broker)[part] for part in of_both]
    assert container_of(probe)["command"] == ["python", "-m", "broker", "probe", "--json"]
    secrets = probe.body["properties"]["configuration"]["secrets"]
    assert secrets == broker.body["properties"]["configuration"]["secrets"]


def test_the_guide_lists_every_variable_of_github_s_environments():
    guide = (ROOT / "bicep/README.md").read_text().partition("## Pipelines")[2].partition("\n## ")[0]
    (row,) = [line for line in guide.splitlines() if line.startswith("| variables")]
    asked = re.findall(r"vars\.(\w+)", (ROOT / ".github/workflows/deploy.yml").read_text())
    assert set(re.findall(r"`(\w+)`", row)) == set(asked)
    for name in re.findall(r"`(\.github/[\w./-]+|tests/\w+|web/[\w.]+)`", guide):
        assert (ROOT / name).exists(), name
