"""Services as most tests want them."""

from __future__ import annotations

import pytest

from enrichment.outbox.sqlite import SqliteOutbox
from tests.clocks import Clock
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
