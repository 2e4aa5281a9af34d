"""Memories in simulated Zeps, and the ids of people and sessions that nobody has used before."""

from __future__ import annotations

import asyncio
import traceback
import uuid
from contextlib import asynccontextmanager

from enrichment.memory.addresses import SqliteAddresses
from enrichment.memory.zep import ZepMemory
from enrichment.memory.zep_cloud import ZepCloudMemory
from enrichment.wiring import zep_http
from tests.simulator import zep, zep_cloud
from tests.simulator.listening import listening

PAGE = 7  # small, so that every longer session has more than one


def new_session():
    return f"s-{uuid.uuid4().hex}"


def new_person():
    return f"dev:{uuid.uuid4().hex}"


async def at_once(_seconds):
    """Instead of a pause between two looks."""
    await asyncio.sleep(0)


class Simulated:
    """A simulated Zep, what it keeps, and memories in it: one for each scenario that is asked for."""

    def __init__(self, url, app, make):
        self.url = url
        self.store = app.state.store
        self._make = make
        self._opened = []

    def memory(self, scenario=""):
        self._opened.append(self._make(self.url, scenario))
        return self._opened[-1]

    async def close(self):
        for memory in self._opened:
            await memory.close()


@asynccontextmanager
async def simulated_zep():
    def make(url, scenario):
        return ZepMemory(zep_http(), url, "-".join(filter(None, [zep.KEY, scenario])), page=PAGE)

    async with _simulated(zep.create_app(), make) as simulated:
        yield simulated


@asynccontextmanager
async def simulated_zep_cloud(folder):
    def make(url, scenario):
        key = "-".join(filter(None, [zep_cloud.KEY, scenario]))
        addresses = SqliteAddresses(folder / "addresses.db")
        return ZepCloudMemory(zep_http(), key, addresses, url=url, pause=at_once)

    async with _simulated(zep_cloud.create_app(), make) as simulated:
        yield simulated


@asynccontextmanager
async def _simulated(app, make):
    async with listening(app) as url:
        simulated = Simulated(url, app, make)
        try:
            yield simulated
        finally:
            await simulated.close()


def everything_it_says(exc):
    """The exception as a log would have it, with its causes."""
    return "".join(traceback.format_exception(exc))
