"""Attacks 18 and 19, and whatever else a client may think of: nothing that is sent is ever our mistake.

schemathesis makes requests from the services' own OpenAPI documents, those they allow and those they do not;
every answer must be one that the document declares. tests/enrichment/test_bad_input.py looks more closely at
turns and searches.
"""

from __future__ import annotations

import json

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import broker.app
import enrichment.app
from tests.broker import build
from tests.broker.build import ENRICHMENT
from tests.broker.conftest import azure  # noqa: F401 - fixture
from tests.broker.over_http import CONTEXT, broker_app
from tests.enrichment.conftest import keys, open_to_all, signed_in  # noqa: F401 - fixtures
from tests.running import running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
BOTH = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
FEW = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def operations(api) -> dict:
    """Label -> operation; an alias is the same function again."""
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(api()))).exclude(deprecated=True)
    return {operation.label: operation for operation in (each.ok() for each in schema.get_all_operations())}


ASKED_OF_BROKER, ASKED_OF_ENRICHMENT = operations(broker.app.api), operations(enrichment.app.api)


def cases_of(operation):
    """What it allows, and what it does not."""
    return st.one_of([operation.as_strategy(mode) for mode in BOTH])


def edges_of(operation):
    """Each part of a request just inside and just outside of what is allowed, and methods that there are not.

    Of schemathesis's own runner; it reaches what a dozen drawn requests would miss.
    """
    schema = operation.schema
    config = schema.config.generation_for(operation=operation)
    return schema.iter_coverage_cases(operation, generation_modes=BOTH, generation_config=config)


SIGNED_IN = {"Authorization": "Bearer dev_canary_admin"}
SIGNED_IN_OR_NOT = st.sampled_from([SIGNED_IN] * 4 + [{}])


async def ask(client, case, proof):
    """As schemathesis would write it on the wire. Without a proof of ours it may make one up."""
    wire = requests.Request(**case.as_transport_kwargs(base_url="http://test")).prepare()
    response = await client.request(
        wire.method, wire.url, content=wire.body, headers={**wire.headers, **proof}
    )
    is_not_ready = response.status_code == 503 and wire.path_url == "/ready"
    case.validate_response(response, checks=CHECKS[1:] if is_not_ready else CHECKS)


@pytest.fixture
async def asked_broker(azure, respx_mock):  # noqa: F811
    respx_mock.get(CONTEXT).respond(503)
    signing_in = {"auth_required": True, "auth_dev_tokens": True}
    async with running(broker_app(build.settings(**signing_in, enrichment_url=ENRICHMENT))) as client:
        yield client


@pytest.mark.parametrize("label", ASKED_OF_BROKER)
@given(st.data())
@FEW
async def test_whatever_the_broker_is_asked_it_answers_as_declared(asked_broker, label, data):
    await ask(asked_broker, data.draw(cases_of(ASKED_OF_BROKER[label])), data.draw(SIGNED_IN_OR_NOT))


@pytest.mark.parametrize("label", ASKED_OF_BROKER)
async def test_the_edges_of_what_the_broker_takes_are_answered_as_declared(asked_broker, label):
    for case in edges_of(ASKED_OF_BROKER[label]):
        await ask(asked_broker, case, SIGNED_IN)


@pytest.fixture
def asked_enrichment(request, label):
    """Where a grant may be in the body no other proof lets anything in: there everybody may post."""
    is_open = {} in ASKED_OF_ENRICHMENT[label].definition.raw["security"]
    return request.getfixturevalue("open_to_all" if is_open else "signed_in")


@pytest.mark.parametrize("label", ASKED_OF_ENRICHMENT)
@given(st.data())
@FEW
async def test_whatever_enrichment_is_asked_it_answers_as_declared(asked_enrichment, label, data):
    case = data.draw(cases_of(ASKED_OF_ENRICHMENT[label]))
    await ask(asked_enrichment, case, data.draw(SIGNED_IN_OR_NOT))


@pytest.mark.parametrize("label", ASKED_OF_ENRICHMENT)
async def test_the_edges_of_what_enrichment_takes_are_answered_as_declared(asked_enrichment, label):
    for case in edges_of(ASKED_OF_ENRICHMENT[label]):
        await ask(asked_enrichment, case, SIGNED_IN)
