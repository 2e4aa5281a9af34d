"""What the broker puts on record, and what it refuses to do when it cannot (attacks 21 and 22)."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest

from tests.broker.audit.build import checked, told
from tests.broker.build import ENRICHMENT, KEY, MINT, settings
from tests.broker.over_http import CONTEXT, broker_app, problem
from tests.on_record import ON_RECORD
from tests.running import running
from tests.waiting import until

ALICE = {"Authorization": "Bearer dev_alice_analyst", "User-Agent": "canary browser"}


def on_record(folder, **changed):
    """A broker that keeps its audit in that folder."""
    signed_in = {"auth_required": True, "auth_dev_tokens": True}
    return broker_app(settings(**ON_RECORD | signed_in | {"audit_url": f"file:{folder}"} | changed))


async def minted_by_alice(folder, **changed):
    """The answer to one mint, and what is on record of it after the start."""
    async with running(on_record(folder, **changed)) as broker:
        response = await broker.post("/realtime/token", json={"session_id": "s-1"}, headers=ALICE)
    return response, told(folder)[1:]


async def test_a_start_is_on_record_before_anybody_comes(tmp_path):
    async with running(on_record(tmp_path)):
        (start,) = told(tmp_path)
    assert (start["action"], start["n"]) == ("config.start", 1)
    assert start["chain"].startswith("broker-")
    assert start["config"]["environment"] == "development"
    assert start["config"]["auth_dev_tokens"] is True


async def test_a_mint_is_on_record_before_and_after_azure_is_asked(tmp_path, azure):
    response, (intent, result) = await minted_by_alice(tmp_path)

    assert response.status_code == 200
    assert (intent["action"], intent["decision"]) == ("token.mint", "intent")
    assert (result["action"], result["decision"], result["of"]) == ("token.mint", "done", intent["n"])
    assert (result["actor"], result["role"], result["session_id"]) == ("dev:alice", "analyst", "s-1")
    assert (intent["proof"], result["proof"]) == ("development-token", "development-token")
    assert (result["strategy"], result["agent_id"], result["ip"]) == ("direct", "elena", "127.0.0.0")
    assert result["trace_id"] == response.headers["x-trace-id"]


async def test_that_nobody_had_to_prove_anything_is_on_record(tmp_path, azure):
    _, (intent, _) = await minted_by_alice(tmp_path, auth_required=False)
    assert (intent["actor"], intent["proof"]) == ("poc-user", "none")


async def test_the_intent_is_on_disk_when_azure_is_asked(tmp_path, respx_mock):
    seen = []

    async def answer(_request):
        seen.extend(line["decision"] for line in told(tmp_path)[1:])
        raise TimeoutError

    respx_mock.post(MINT).mock(side_effect=answer)
    async with running(on_record(tmp_path)) as broker:
        await broker.post("/realtime/token", headers=ALICE)
    assert seen[0] == "intent"


async def test_a_grant_that_is_handed_out_is_on_record_with_the_token(tmp_path, azure, respx_mock):
    respx_mock.get(url__startswith=CONTEXT).respond(200, json={"facts": ["canary fact"]})
    _, lines = await minted_by_alice(tmp_path, enrichment_url=ENRICHMENT)
    assert [(line["action"], line["decision"]) for line in lines] == [
        ("token.mint", "intent"),
        ("token.mint", "done"),
        ("grant.issue", "done"),
    ]


async def test_a_grant_that_is_renewed_is_on_record_or_is_not_given(tmp_path, respx_mock):
    folder = tmp_path / "audit"
    async with running(on_record(folder, enrichment_url=ENRICHMENT)) as broker:
        asked = {"session_id": "s-1", "agent_id": "sage"}
        response = await broker.post("/realtime/grant", json=asked, headers=ALICE)
        assert response.status_code == 200
        (line,) = told(folder)[1:]
        assert (line["action"], line["actor"], line["session_id"]) == ("grant.issue", "dev:alice", "s-1")

        (folder / f"{line['chain']}.0001.jsonl").unlink()
        response = await broker.post("/realtime/grant", json=asked, headers=ALICE)
        problem(response, 503, "audit-unavailable")
        assert "eyJ" not in response.text


async def test_a_mint_that_fails_is_on_record_as_failed(tmp_path, respx_mock):
    respx_mock.post(MINT).respond(429, json={"error": {"message": "canary"}})
    response, lines = await minted_by_alice(tmp_path)
    assert response.status_code == 503
    assert (lines[-1]["decision"], lines[-1]["reason"]) == ("failed", "Throttled")


async def test_who_is_refused_is_on_record(tmp_path, respx_mock):
    async with running(on_record(tmp_path)) as broker:
        await broker.post("/realtime/token")
        await broker.post("/realtime/token", headers={"Authorization": "Bearer dev_eve_viewer"})
        await broker.get("/realtime/strategies", headers=ALICE)
    lines = [(line.get("actor"), line["reason"], line["route"]) for line in told(tmp_path)[1:]]
    assert lines == [
        (None, "not-signed-in", "mint_token"),
        ("dev:eve", "not-allowed", "mint_token"),
        ("dev:alice", "not-allowed", "strategies"),
    ]


async def test_no_secret_and_nothing_that_was_said_is_in_it(tmp_path, azure, respx_mock):
    respx_mock.get(url__startswith=CONTEXT).respond(200, json={"facts": ["canary fact"]})
    response, _ = await minted_by_alice(tmp_path, enrichment_url=ENRICHMENT)
    text = "".join(file.read_text() for file in tmp_path.iterdir())
    assert "canary" not in text
    for secret in (KEY, response.json()["token"], response.json()["enrichment"]["grant"], "127.0.0.1"):
        assert secret not in text


async def test_without_a_record_there_is_no_token_and_azure_is_not_asked(tmp_path, azure):
    folder = tmp_path / "audit"
    folder.write_text("a file is in its place")
    async with running(on_record(folder)) as broker:
        for _ in range(2):
            response = await broker.post("/realtime/token", headers=ALICE)
            body = problem(response, 503, "audit-unavailable")
            assert (body["retryable"], response.headers["retry-after"]) == (True, "5")
            assert str(tmp_path) not in response.text
        assert azure.call_count == 0

        folder.unlink()
        assert (await broker.post("/realtime/token", headers=ALICE)).status_code == 200
    assert azure.call_count == 1
    assert [line["action"] for line in told(folder)] == ["config.start", "token.mint", "token.mint"]


@pytest.mark.parametrize("fault", ["write_all", "sync"])
async def test_a_disk_that_fails_ends_minting_until_it_is_well(tmp_path, azure, monkeypatch, fault):
    def broken(*_given):
        raise OSError(28, "canary")

    async with running(on_record(tmp_path)) as broker:
        with monkeypatch.context() as patched:
            patched.setattr(f"broker.edge.audit.files.{fault}", broken)
            problem(await broker.post("/realtime/token", headers=ALICE), 503, "audit-unavailable")
        assert azure.call_count == 0
        assert (await broker.post("/realtime/token", headers=ALICE)).status_code == 200
    assert [line["decision"] for line in told(tmp_path)[1:]] == ["intent", "done"]


async def test_a_token_whose_result_cannot_be_kept_is_given_to_nobody(
    tmp_path, respx_mock, azure, monkeypatch
):
    def broken(*_given):
        raise OSError(28, "canary")

    async with running(on_record(tmp_path)) as broker:
        with monkeypatch.context() as patched:

            def minted_and_then_full(_request):
                patched.setattr("broker.edge.audit.files.write_all", broken)
                return azure.return_value

            azure.side_effect = minted_and_then_full
            response = await broker.post("/realtime/token", headers=ALICE)
        problem(response, 503, "audit-unavailable")
        assert "ek_" not in response.text
    assert [line["decision"] for line in told(tmp_path)[1:]] == ["intent"]


async def test_a_database_that_is_away_ends_minting(azure):
    away = {"audit_url": "postgresql://tests@/postgres?host=/nowhere"}
    async with running(on_record("", **away)) as broker:
        problem(await broker.post("/realtime/token", headers=ALICE), 503, "audit-unavailable")
    assert azure.call_count == 0


async def test_callers_side_by_side_are_all_on_record(tmp_path, azure):
    async with running(on_record(tmp_path)) as broker:
        asking = [broker.post("/realtime/token", headers=ALICE) for _ in range(40)]
        assert {response.status_code for response in await asyncio.gather(*asking)} == {200}
    results = [line for line in told(tmp_path) if line["decision"] == "done" and "of" in line]
    assert len({line["of"] for line in results}) == 40


async def test_where_the_record_ended_is_anchored_at_start_and_end(tmp_path, azure):
    audit, anchors = tmp_path / "audit", tmp_path / "anchors"
    async with running(on_record(audit, audit_anchor_url=f"file:{anchors}")) as broker:
        await until(partial(asyncio.to_thread, lambda: [*anchors.glob("*")]))  # the start's, beside the start
        await broker.post("/realtime/token", json={"session_id": "s-1"}, headers=ALICE)
    (file,) = anchors.iterdir()
    assert [json.loads(line)["n"] for line in file.read_text().splitlines()] == [1, 3]
    assert checked(audit).unanchored


async def test_where_no_record_is_asked_for_none_is_kept(tmp_path, azure):
    async with running(on_record(tmp_path, audit_log_enabled=False)) as broker:
        assert (await broker.post("/realtime/token", headers=ALICE)).status_code == 200
    assert [*tmp_path.iterdir()] == []
