"""Both services where people sign in with Entra ID, which is simulated; what they fetch is counted."""

from __future__ import annotations

import httpx
import pytest

from broker.app import create_app
from broker.edge.entra import AUTHORITY, KEYS
from tests.broker.build import ENRICHMENT, MINT, SIGN_IN, settings
from tests.broker.over_http import CONTEXT, minted
from tests.enrichment.service import CLOCK, JWKS, SIGNER, service
from tests.running import running
from tests.simulator.entra import Entra


@pytest.fixture
def entra(respx_mock):
    tenant = Entra(CLOCK)

    def key_set(_request):
        tenant.fetched_at.append(CLOCK())
        return httpx.Response(503) if tenant.is_down else httpx.Response(200, json=tenant.key_set())

    for path in KEYS.values():
        respx_mock.get(f"{AUTHORITY}/{tenant.tenant}{path}").mock(side_effect=key_set)
    return tenant


@pytest.fixture
def azure(respx_mock):
    respx_mock.get(CONTEXT).respond(503)
    return respx_mock.post(MINT).respond(200, json=minted())


@pytest.fixture
async def broker(entra, azure):
    app = create_app(settings(**SIGN_IN, enrichment_url=ENRICHMENT), now=CLOCK, probing=False)
    async with running(app) as client:
        yield client


@pytest.fixture
async def enrichment(entra, respx_mock, tmp_path):
    respx_mock.get(JWKS).respond(200, json=SIGNER.jwks())
    async with service(tmp_path, **SIGN_IN) as client:
        yield client
