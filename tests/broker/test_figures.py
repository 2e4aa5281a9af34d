"""The line that a process writes of itself every minute."""

from __future__ import annotations

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from broker.app import create_app
from broker.edge import figures
from broker.edge.figures import EVERY_S as USUAL_S
from broker.edge.figures import Figures
from broker.edge.metrics import EdgeMetrics, Scraping
from broker.edge.telemetry import configure_logging
from tests.broker.build import settings
from tests.running import running
from tests.virtual_time import run_virtual
from tests.waiting import until


@pytest.fixture
def lines(capsys, monkeypatch):
    """The lines that were written since they were asked for last; the level is production's."""
    monkeypatch.setattr(figures, "EVERY_S", 0.01)

    def read():
        found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        return [line for line in found if line["event"] == "figures"]

    return read


async def nothing_looked_up():
    return []


def figures_of(metrics):
    return Figures("broker", "/realtime/token", Scraping(metrics.registry, nothing_looked_up, None, False))


async def test_a_line_says_what_came_since_the_last_one(lines):
    configure_logging("WARNING")
    metrics = EdgeMetrics()
    ours = figures_of(metrics)
    for status, seconds in ((200, 0.1), (200, 3.5), (429, 0.1), (503, 8.0), (500, 0.1)):
        metrics.served("/realtime/token", "POST", status, seconds)
    metrics.served("/agents", "GET", 503, 9.0)
    await ours.write()
    await ours.write()
    first, second = lines()
    said = {name: first[name] for name in ("service", "requests", "failed", "slow", "refused", "unrecorded")}
    assert said == {"service": "broker", "requests": 5, "failed": 2, "slow": 2, "refused": 0, "unrecorded": 0}
    assert first["level"] == "info"
    assert (second["requests"], second["failed"], second["slow"]) == (0, 0, 0)
    assert second["process"] == first["process"]


def test_it_is_written_every_minute_of_a_process(lines, monkeypatch):
    configure_logging("WARNING")
    monkeypatch.setattr(figures, "EVERY_S", USUAL_S)
    scraping = Scraping(CollectorRegistry(), nothing_looked_up, None, False)
    ones = [Figures("broker", "/realtime/token", scraping) for _ in range(2)]

    async def three_minutes():
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(each.run()) for each in ones]
            await asyncio.sleep(190)
            for task in running:
                task.cancel()

    run_virtual(three_minutes())
    processes = [line["process"] for line in lines()]
    assert [processes.count(each.process) for each in ones] == [3, 3]


async def test_a_broker_says_how_many_calls_may_last_and_how_many_ways_there_are(lines, azure):
    configure_logging("WARNING")
    async with running(create_app(settings(), probing=False)) as broker:
        await broker.post("/realtime/token", json={})
        minted = await _line(lines, lambda line: line["active"] == 1)
        azure.respond(401, json={})
        await broker.post("/realtime/token", json={})
        await _line(lines, lambda line: line["ways"] == 0)
    assert minted["ways"] == 1


async def test_a_broker_without_a_resource_has_no_way(lines):
    configure_logging("WARNING")
    nowhere = settings(azure_voicelive_endpoint=None, azure_voicelive_key=None)
    async with running(create_app(nowhere, probing=False)):
        assert (await _line(lines))["ways"] == 0


async def test_who_was_refused_is_counted(lines):
    configure_logging("WARNING")
    chosen = settings(auth_required=True, auth_dev_tokens=True)
    async with running(create_app(chosen, probing=False)) as broker:
        await broker.post("/realtime/token", json={})
        assert (await _line(lines, lambda line: line["refused"]))["refused"] == 1


async def _line(lines, is_it=lambda line: True):
    async def found():
        return next((line for line in lines() if is_it(line)), None)

    return await until(found)
