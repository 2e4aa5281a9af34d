"""The simulator without a network, its clock at a standstill."""

import pytest

from tests.running import running
from tests.simulator.azure import create_app


@pytest.fixture
async def azure():
    async with running(create_app(bearer="entra-token", slow_s=0.01, now=lambda: 1_790_000_000)) as client:
        yield client
