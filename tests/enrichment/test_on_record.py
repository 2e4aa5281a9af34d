"""What enrichment and its operators put on record, and what they do not do when they cannot."""

from __future__ import annotations

import json

import pytest

from enrichment.pseudonym import hashed
from tests.broker.audit.build import told
from tests.enrichment.build import FakeMemory
from tests.enrichment.operator import SAID, Shell, fill, states
from tests.enrichment.service import as_person, grant, problem, said, service
from tests.on_record import ON_RECORD


def recorded(folder, **changed):
    chosen = {"auth_required": True, "auth_dev_tokens": True, "audit_url": f"file:{folder}/audit"}
    return service(folder, FakeMemory(), **ON_RECORD | chosen | changed)


async def stored(client):
    body = {"grant": grant("dev:alice"), "session_id": "s-1", "turns": [said("u1", SAID)]}
    assert (await client.post("/memory/enrich", json=body)).status_code == 202


async def test_an_erasure_is_on_record_before_and_after_and_names_nobody_it_was_done_to(tmp_path, keys):
    async with recorded(tmp_path) as client:
        await stored(client)
        admin = {"Authorization": "Bearer dev_root_admin"}
        assert (await client.delete("/memory/users/dev:alice", headers=admin)).status_code in {200, 202}
    start, intent, result = told(tmp_path / "audit")
    assert start["config"]["outbox"] == "sqlite"
    assert (intent["action"], intent["decision"], intent["actor"]) == ("erase", "intent", "dev:root")
    assert (result["decision"], result["of"], result["count"]) == ("done", intent["n"], 1)
    assert result["subject"] == hashed("dev:alice")
    text = "".join(file.read_text() for file in (tmp_path / "audit").iterdir())
    assert "alice" not in text
    assert "canary" not in text


async def test_a_session_of_somebody_else_that_was_to_be_erased_is_on_record(tmp_path, keys):
    async with recorded(tmp_path) as client:
        await stored(client)
        problem(await client.delete("/memory/episodes/s-1", headers=as_person("eve")), 404, "unknown-episode")
    assert (told(tmp_path / "audit")[-1]["decision"], told(tmp_path / "audit")[-1]["reason"]) == (
        "failed",
        "ForeignSession",
    )


async def test_who_is_refused_is_on_record_without_the_path(tmp_path, keys):
    async with recorded(tmp_path) as client:
        await client.delete("/memory/users/dev:alice", headers=as_person("eve"))
        await client.get("/memory/episodes")
    refused = [(line.get("actor"), line["reason"], line["route"]) for line in told(tmp_path / "audit")[1:]]
    assert refused == [
        ("dev:eve", "not-allowed", "erase_person"),
        (None, "not-signed-in", "list_episodes"),
    ]
    assert "alice" not in "".join(file.read_text() for file in (tmp_path / "audit").iterdir())


async def test_what_cannot_be_put_on_record_is_not_erased(tmp_path, keys):
    (tmp_path / "audit").write_text("a file is in its place")
    async with recorded(tmp_path) as client:
        await stored(client)
        response = await client.delete("/memory/users/me", headers=as_person("alice"))
        problem(response, 503, "audit-unavailable")
        assert (await client.get("/memory/episodes/s-1", headers=as_person("alice"))).status_code == 200

        (tmp_path / "audit").unlink()
        assert (await client.delete("/memory/users/me", headers=as_person("alice"))).status_code in {200, 202}
        problem(await client.get("/memory/episodes/s-1", headers=as_person("alice")), 404, "unknown-episode")


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd):
    """An operator's, where what is done goes on record."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    for name, value in (ON_RECORD | {"audit_url": f"file:{tmp_path}/audit"}).items():
        monkeypatch.setenv(name.upper(), str(value))
    fill(tmp_path)
    return Shell(tmp_path, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("words", "action", "count"),
    [
        ("outbox replay s-1 --yes", "replay", 1),
        ("outbox replay --all-parked --yes", "replay", 1),
        ("outbox drop s-1 u2 --reason spam --yes", "drop", None),
        ("erase alice --yes", "erase", 3),
        ("erase alice --session s-1 --yes", "erase", 3),
    ],
)
def test_what_an_operator_changes_is_on_record_with_who_it_was(shell, words, action, count):
    assert shell(words).code == 0
    start, intent, result = told(shell.data / "audit")
    assert start["chain"].startswith("operator-")
    assert (intent["action"], intent["decision"], result["decision"]) == (action, "intent", "done")
    assert (intent["actor"].partition(":")[0], intent["proof"]) == ("os", "shell")
    assert (result["of"], result.get("count")) == (intent["n"], count)
    assert "alice" not in json.dumps([start, intent, result])


def test_what_an_operator_only_asks_is_not_on_record(shell):
    assert shell("outbox stats").code == 0
    assert shell("outbox replay s-1").code == 2  # nobody says yes
    assert not (shell.data / "audit").exists()


def test_an_operator_changes_nothing_that_cannot_be_put_on_record(shell):
    (shell.data / "audit").write_text("a file is in its place")
    for words in ("outbox replay s-1 --yes", "outbox drop s-1 u2 --reason spam --yes", "erase alice --yes"):
        read = shell(words)
        assert read.code == 75
        assert "put on record" in read.err
    assert states(shell.data) == {"u1": "delivered", "u2": "parked", "u3": "pending"}
