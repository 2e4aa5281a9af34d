"""Every alert waits for what the apps really write, at the level that production keeps."""

from __future__ import annotations

import json
import re

import pytest

from broker.app import create_app
from broker.edge import figures
from broker.edge.audit.anchoring import Anchoring
from broker.edge.audit.port import SinkFailed
from broker.edge.audit.recording import Audit
from broker.edge.audit.sealing import Head
from broker.edge.jwks import KeySet, KeysUnavailable, NotFetched, Pace
from broker.edge.telemetry import configure_logging
from broker.wiring import domains_of
from enrichment.app import create_app as create_enrichment
from enrichment.metrics import looked_up
from enrichment.outbox.port import StorageFailed
from tests.bicep.project import ENVIRONMENTS, changed
from tests.bicep.settings import deployed
from tests.bicep.shells import shell
from tests.bicep.working_out import worked_out
from tests.broker.build import SIGN_IN, settings
from tests.enrichment.build import settings as enrichment_settings
from tests.running import running
from tests.waiting import until

EACH = pytest.mark.parametrize("environment", ENVIRONMENTS)
BOTH = ("broker", "enrichment")


def alerts_of(outcome):
    """Name -> query."""
    rules = outcome.of("Microsoft.Insights/scheduledQueryRules")
    said = [each.body["properties"] for each in rules]
    return {each["displayName"]: each["criteria"]["allOf"][0]["query"] for each in said}


@EACH
def test_alerts_are_raised_where_somebody_is_to_come(environment):
    assert len(alerts_of(deployed(environment))) == (15 if environment in {"uat", "production"} else 0)


def test_every_alert_asks_for_one_number_and_tells_a_group():
    outcome = deployed("production")
    groups = {each.id for each in outcome.of("Microsoft.Insights/actionGroups")}
    for rule in outcome.of("Microsoft.Insights/scheduledQueryRules"):
        said = rule.body["properties"]
        (condition,) = said["criteria"]["allOf"]
        assert re.search(r"\bv = ", condition["query"])
        assert condition["metricMeasureColumn"] == "v"
        assert 0 <= said["severity"] <= 4
        assert set(said["actions"]["actionGroups"]) <= groups


@pytest.fixture
async def written(capsys, monkeypatch, tmp_path):
    """The last line of each event, of each service, that the apps wrote while things went wrong."""
    configure_logging("WARNING")
    monkeypatch.setattr(figures, "EVERY_S", 0.01)
    found = {}

    def read():
        for line in map(json.loads, capsys.readouterr().err.splitlines()):
            found[line["event"], line.get("service")] = line
        return found

    async def said_by(service):
        return ("figures", service) in read()

    async with running(create_app(settings(), probing=False)):
        await until(lambda: said_by("broker"))
    async with running(create_enrichment(enrichment_settings(tmp_path))):
        await until(lambda: said_by("enrichment"))
    await what_goes_wrong()
    return read()


async def what_goes_wrong():
    domains_of(settings(environment="uat", mint_allow_key=True, **SIGN_IN), None)
    await looked_up(Away(), Audit())
    await Anchoring(Away(), lambda: Head("broker-1", 1), lambda: 0.0).anchor()
    with pytest.raises(KeysUnavailable):
        await KeySet("entra", Away().fetch, dict, Pace(60, 60)).find("kid")


class Away:
    """A place that does not answer."""

    async def depth(self):
        raise StorageFailed("away")

    async def put(self, _head, _at_s):
        raise SinkFailed("away")

    async def fetch(self):
        raise NotFetched


def complaints(alerts, written):
    """What an alert waits for that nobody writes."""
    for name, query in alerts.items():
        (event,) = re.findall(r'event == "([\w.]+)"', query)
        only = re.findall(r'line\.service\) == "(\w+)"', query)
        for service in (only or BOTH) if event == "figures" else [None]:
            line = written.get((event, service))
            if line is None:
                yield f"{name}: nobody writes {event}"
                continue
            asked = set(re.findall(r"\bline\.(\w+)", query)) - {"event"}
            yield from (
                f"{name}: {event} of {service} has no {field}" for field in sorted(asked - line.keys())
            )


async def test_an_alert_names_only_events_and_fields_that_the_apps_write(written):
    alerts = alerts_of(deployed("production"))
    assert list(complaints(alerts, written)) == []
    for query in alerts.values():  # and of the platform's columns only those that it is known to have
        assert set(re.findall(r"\b[A-Z]\w*_[a-z]{1,2}\b", query)) == {"Log_s"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("line.refused", "line.refusals", "sign-in-failures: figures of broker has no refusals"),
        ("tolong(line.parked)", "tolong(line.ways)", "turn-parked: figures of enrichment has no ways"),
        (
            "'${ofBroker} | summarize ways",
            "'${figures} | summarize ways",
            "figures of enrichment has no ways",
        ),
        ('"key.allowed"', '"key.used"', "key-allowed: nobody writes key.used"),
        ('event == "figures"', 'event == "numbers"', "latency: nobody writes numbers"),
    ],
)
async def test_what_nobody_writes_is_noticed(written, old, new, complaint):
    outcome = worked_out(changed("modules/alerts.bicep", old, new), "production", shell())
    assert any(complaint in each for each in complaints(alerts_of(outcome), written))
