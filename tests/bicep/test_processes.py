"""Each app of each environment as a real process, with the variables of its container.

The databases and the place for anchors are of this machine, and telemetry goes nowhere. Azure and Zep are
not there.
"""

from __future__ import annotations

import signal
import uuid

import pytest

from tests.bicep.project import ENVIRONMENTS
from tests.bicep.settings import deployed, variables_of
from tests.enrichment.postgres import empty_database, server
from tests.local.forks import fork
from tests.local.processes import Command, NotStarted, free_port, start

DATABASES = ("DATABASE_URL", "LIMITS_URL", "AUDIT_URL")
BOTH = pytest.mark.parametrize("package", ["broker", "enrichment"])


@pytest.fixture(scope="module")
def postgres():
    with server(synced=False) as running:
        yield running


@pytest.fixture
def command(postgres, tmp_path):
    """The app of an environment, to be started here."""

    def of(environment, package, **changed):
        variables = variables_of(deployed(environment), package)
        for name in variables.keys() & set(DATABASES):
            variables[name] = empty_database(postgres, f"{name.lower()}_{uuid.uuid4().hex}")
        if "AUDIT_ANCHOR_URL" in variables:
            variables["AUDIT_ANCHOR_URL"] = f"file:{tmp_path}/anchors"
        if (environment, package) != ("production", "broker"):  # its exporter takes a second to be imported
            variables["TRACES"] = "off"
        port = free_port()
        arguments = [package, "serve", "--port", str(port)]
        return Command(package, port, arguments, {**variables, "DRAIN_S": "0", **changed})

    return of


@BOTH
@pytest.mark.parametrize("environment", ENVIRONMENTS)
async def test_an_app_starts_and_is_alive_and_ends(command, environment, package, tmp_path):
    running = await start(command(environment, package), tmp_path, fork)
    try:
        await running.answers()
    finally:
        await running.stop()
    # uvicorn ends by the signal that it was sent, when all that it had begun is done.
    assert running.process.returncode == -signal.SIGTERM, running.tail()
    assert '"level": "error"' not in running.log.read_text()


@BOTH
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"AUTH_REQUIRED": "false"}, "AUTH_REQUIRED"),
        ({"ENTRA_TENANTS": '["common"]'}, "ENTRA_TENANTS"),
        ({"AUDIT_KEY": ""}, "AUDIT_KEY"),
    ],
)
async def test_in_production_it_ends_for_the_reason_of_its_rule(command, package, changed, reason, tmp_path):
    running = await start(command("production", package, **changed), tmp_path, fork)
    try:
        with pytest.raises(NotStarted, match=rf"(?s)ended with 78.*{reason}"):
            await running.answers()
    finally:
        await running.stop()
