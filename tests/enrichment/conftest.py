"""Services as most tests want them."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack

import pytest

from enrichment.outbox.postgres import PostgresOutbox
from enrichment.outbox.sqlite import SqliteOutbox
from tests.clocks import Clock
from tests.enrichment.postgres import empty_database, server
from tests.enrichment.service import JWKS, SIGNER, service


@pytest.fixture
def keys(respx_mock):
    return respx_mock.get(JWKS).respond(200, json=SIGNER.jwks())


@pytest.fixture
async def open_to_all(tmp_path, keys):
    async with service(tmp_path) as client:
        yield client


@pytest.fixture
async def signed_in(tmp_path, keys):
    async with service(tmp_path, auth_required=True, auth_dev_tokens=True) as client:
        yield client


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def outbox(tmp_path, clock):
    outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    yield outbox
    await outbox.close()


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests of this process that do not stop it. It does not sync: no plug is pulled."""
    with server(synced=False) as running:
        yield running


@pytest.fixture
def database(postgres):
    """The address of an empty database, which is a schema here: that takes milliseconds."""
    return empty_database(postgres, f"test_{uuid.uuid4().hex}")


@pytest.fixture
async def replicas(database, clock):
    """Opens one more outbox on the same database, at each call."""
    async with AsyncExitStack() as opened:

        async def replica(now=clock):
            outbox = PostgresOutbox(database, now=now)
            opened.push_async_callback(outbox.close)
            await outbox.open()
            return outbox

        yield replica


@pytest.fixture(params=["sqlite", "postgres"])
async def each_outbox(request, tmp_path, clock):
    """An empty outbox of either engine."""
    if request.param == "sqlite":
        outbox = SqliteOutbox(tmp_path / "outbox.db", now=clock)
    else:
        outbox = PostgresOutbox(request.getfixturevalue("database"), now=clock)
        await outbox.open()
    yield outbox
    await outbox.close()
