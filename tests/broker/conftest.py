"""Brokers as most tests want them, with Azure answered by respx."""

from __future__ import annotations

import pytest

from tests.broker.build import ENRICHMENT, MINT, settings
from tests.broker.over_http import broker_app, minted
from tests.running import running


@pytest.fixture
def azure(respx_mock):
    return respx_mock.post(MINT).respond(200, json=minted())


@pytest.fixture
async def broker():
    async with running(broker_app(settings())) as client:
        yield client


@pytest.fixture
async def remembering():
    async with running(broker_app(settings(enrichment_url=ENRICHMENT))) as client:
        yield client
