"""The mint gives a token for what Azure would accept, and refuses the rest in Azure's words."""

import pytest

from tests.simulated.routes import KEY, MINT, session
from tests.simulator.scenarios import SCENARIOS


def voice(name):
    return session(audio={"output": {"voice": name}})


async def test_a_minted_token_comes_with_its_effective_session(azure):
    body = session(instructions="You are Elena.") | {"expires_after": {"anchor": "created_at", "seconds": 90}}
    reply = await azure.post(MINT, headers=KEY, json=body)

    assert reply.status_code == 200
    minted = reply.json()
    assert minted["value"].startswith("ek_")
    assert len(minted["value"]) == len("ek_") + 32
    assert minted["expires_at"] == 1_790_000_090
    assert minted["session"]["object"] == "realtime.session"
    assert minted["session"]["instructions"] == "You are Elena."
    assert minted["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert {"apim-request-id", "x-request-id", "x-ms-region"} <= set(reply.headers)


async def test_a_token_lives_sixty_seconds_unless_asked_otherwise(azure):
    assert (await azure.post(MINT, headers=KEY, json=session())).json()["expires_at"] == 1_790_000_060


async def test_an_entra_token_mints_as_well_as_the_key(azure):
    reply = await azure.post(MINT, headers={"Authorization": "Bearer entra-token"}, json=session())
    assert reply.status_code == 200


@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_a_wrong_credential_is_refused_before_the_body_is_read(azure, headers):
    reply = await azure.post(MINT, headers=headers, content=b"not json")
    assert reply.status_code == 401
    assert reply.json()["error"]["code"] == "401"


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"model": "gpt-realtime", "voice": "alloy"}, 400, "InvalidSessionType", "session.type"),
        ({"session": {"model": "gpt-realtime"}}, 400, "InvalidSessionType", "session.type"),
        (session(modalities=["audio"]), 400, "unknown_parameter", "session.modalities"),
        (session(voice="alloy", model="nobody"), 400, "unknown_parameter", "session.voice"),
        (session(model="nobody"), 404, "DeploymentNotFound", None),
        (session(model="GPT-realtime"), 404, "DeploymentNotFound", None),
        (session(model="gpt-realtime-deployment-not-found"), 404, "DeploymentNotFound", None),
        (session(model="gpt-4o"), 400, "OpperationNotSupported", None),
        (voice("en-US-Ava:DragonHDLatestNeural"), 400, "invalid_value", "session.audio.output.voice"),
        (session(output_modalities=["audio", "text"]), 400, "invalid_value", "session.output_modalities"),
        (
            session() | {"expires_after": {"seconds": 5}},
            400,
            "integer_below_min_value",
            "expires_after.seconds",
        ),
    ],
)
async def test_a_session_that_azure_would_not_accept_is_refused_in_its_words(
    azure, body, status, code, param
):
    reply = await azure.post(MINT, headers=KEY, json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert reply.json()["error"].get("param") == param


async def test_a_refused_voice_names_the_voices_there_are(azure):
    message = (await azure.post(MINT, headers=KEY, json=voice("Ava"))).json()["error"]["message"]
    assert message.startswith("Invalid value: 'Ava'. Supported values are: 'alloy', 'ash',")
    assert message.endswith("'marin', and 'cedar'.")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        (f"{MINT}?api-version=2025-08-28", 400, "BadRequest"),
        ("/openai/realtime/client_secrets?api-version=2025-08-28", 404, "404"),
        ("/openai/deployments/gpt-realtime/realtime/client_secrets", 404, "404"),
        ("/api/projects/p/openai/realtime/client_secrets", 404, "404"),
        ("/api/projects/p/openai/v1/realtime/client_secrets", 404, "404"),
    ],
)
async def test_routes_of_other_years_do_not_mint(azure, url, status, code):
    reply = await azure.post(url, headers=KEY, json=session())
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_too_many_requests_say_when_to_come_back(azure):
    reply = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-429"))
    assert reply.status_code == 429
    assert (reply.headers["retry-after-ms"], reply.headers["retry-after"]) == ("1000", "1")


async def test_a_transcription_block_alone_can_make_the_mint_fail(azure):
    transcribing = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    model = "gpt-realtime-500-with-transcription"
    with_block = await azure.post(MINT, headers=KEY, json=session(model=model, **transcribing))
    without = await azure.post(MINT, headers=KEY, json=session(model=model))
    assert (with_block.status_code, without.status_code) == (500, 200)


async def test_a_body_can_be_rubbish_with_status_200(azure):
    html = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-html-body"))
    empty = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-bad-body"))
    huge = await azure.post(MINT, headers=KEY, json=session(model="gpt-realtime-huge-body"))
    assert [html.status_code, empty.status_code, huge.status_code] == [200, 200, 200]
    assert html.headers["content-type"].startswith("text/html")
    assert "value" not in empty.json()
    assert len(huge.content) > 64 * 1024


async def test_every_other_scenario_mints(azure):
    refusing = {"429", "500", "bad-body", "html-body"}
    for name in SCENARIOS.keys() - refusing - {"happy"}:
        reply = await azure.post(MINT, headers=KEY, json=session(model=f"gpt-realtime-{name}"))
        assert reply.json()["value"], name
