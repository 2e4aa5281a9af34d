"""``python -m enrichment verify``: what is wrong in the files, where, and how to mend it."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager

import apsw
import pytest

from enrichment.memory.port import Unreachable
from enrichment.operating import opening, verifying
from enrichment.outbox.sqlite_schema import session_key
from tests.enrichment.build import FakeMemory, settings
from tests.enrichment.operator import Shell, fill


class DownToReaders(FakeMemory):
    """Cannot be read."""

    async def episodes(self, person, *, limit, cursor=None):
        raise Unreachable("down")


RESTORED = "INSERT INTO tombstone VALUES (?, 'somebody', 0)"


@pytest.fixture
def shell(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    fill(tmp_path)
    return Shell(tmp_path, monkeypatch, capfd)


def write(shell, statement, values=(), file="outbox.db"):
    db = apsw.Connection(str(shell.data / file))
    db.execute(statement, values)
    db.close()


def test_an_outbox_that_is_as_it_must_be_passes(shell):
    read = shell("verify")
    assert read.code == 0
    assert read.out.splitlines()[-1] == "OK: 9 checks"
    told = json.loads(shell("verify --json").out)
    assert told["ok"]
    assert all(check["ok"] for check in told["checks"])


@pytest.mark.parametrize(
    ("name", "statement", "values"),
    [
        ("due", "UPDATE session SET due_at = NULL WHERE session_id = 's-1'", ()),
        ("delivered-text", "UPDATE turn SET text = 'canary' WHERE turn_id = 'u1'", ()),
        ("pending-text", "UPDATE turn SET text = NULL WHERE turn_id = 'u3'", ()),
        ("foreign-keys", "DELETE FROM session WHERE session_id = 's-1'", ()),
        ("tombstones", RESTORED, (session_key("s-1"),)),
        ("leases", "UPDATE session SET leased_until = 9e9 WHERE session_id = 's-1'", ()),
    ],
)
def test_each_thing_that_is_wrong_is_one_line_with_its_mend(shell, name, statement, values):
    write(shell, statement, values)
    read = shell("verify")
    assert read.code == 1
    (line,) = [line for line in read.out.splitlines() if line.startswith("WRONG  ")]
    assert line.endswith((".", ";"))
    (check,) = [check for check in json.loads(shell("verify --json").out)["checks"] if not check["ok"]]
    assert check["name"] == name
    assert check["mend"] in line
    assert "s-1" in check["where"] or name == "foreign-keys"


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("due", "UPDATE session SET due_at = NULL WHERE session_id = 's-1'"),
        ("delivered-text", "UPDATE turn SET text = 'canary' WHERE turn_id = 'u1'"),
        ("leases", "UPDATE session SET leased_until = 9e9 WHERE session_id = 's-1'"),
    ],
)
def test_a_mend_that_is_a_statement_mends(shell, name, statement):
    write(shell, statement)
    (check,) = [check for check in json.loads(shell("verify --json").out)["checks"] if not check["ok"]]
    assert check["name"] == name
    write(shell, check["mend"].partition("in sqlite3: ")[2])
    assert shell("verify").code == 0


def test_a_turn_that_was_delivered_and_is_not_in_memory_is_found(shell):
    write(shell, "DELETE FROM turn WHERE turn_id = 'u1'", file="memory.db")
    (check,) = [check for check in json.loads(shell("verify --json").out)["checks"] if not check["ok"]]
    assert (check["name"], check["where"]) == ("remembered", ["s-1"])


def test_a_turn_that_was_given_up_need_not_be_in_memory(shell):
    assert shell("outbox drop s-1 u2 --reason spam --yes").code == 0
    assert shell("verify").code == 0


def test_a_lease_that_runs_is_nothing_wrong(shell):
    write(shell, "UPDATE session SET leased_until = ?, due_at = ?", (time.time() + 20, time.time() + 20))
    assert shell("verify").code == 0


@pytest.mark.parametrize("file", ["outbox.db", "memory.db"])
def test_a_damaged_page_is_found(shell, file):
    path = shell.data / file
    content = bytearray(path.read_bytes())
    content[4096 + 100 :] = b"\xff" * (len(content) - 4096 - 100)
    path.write_bytes(content)
    read = shell("verify")
    assert read.code == 1
    assert "WRONG  " in read.out


def test_a_memory_that_is_gone_is_found(shell):
    (shell.data / "memory.db").unlink()
    read = shell("verify")
    assert read.code == 1
    assert "no such file" in read.out


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("due", "UPDATE session SET due_at = NULL WHERE session_id = 's-1'"),
        ("delivered-text", "UPDATE turn SET text = 'canary' WHERE turn_id = 'u1'"),
        ("pending-text", "UPDATE turn SET text = NULL WHERE turn_id = 'u3'"),
    ],
)
def test_another_engine_is_judged_by_what_its_port_tells(shell, monkeypatch, name, statement):
    write(shell, statement)
    monkeypatch.setattr(opening, "is_embedded", lambda _settings: False)
    read = shell("verify --json")
    assert read.code == 1
    assert [check["name"] for check in json.loads(read.out)["checks"] if not check["ok"]] == [name]


@pytest.mark.parametrize("content", [b"canary " * 10_000, b""])
def test_a_file_that_is_no_outbox_is_found(shell, content):
    (shell.data / "outbox.db").write_bytes(content)
    read = shell("verify")
    assert (read.code, "the outbox can be opened" in read.out) == (1, True)


@pytest.mark.parametrize(("memory", "wrong"), [(FakeMemory(), 0), (DownToReaders(), 1)])
async def test_a_memory_elsewhere_is_asked_whether_it_can_be_read(tmp_path, monkeypatch, memory, wrong):
    @asynccontextmanager
    async def open_memory(_settings):
        yield memory

    monkeypatch.setattr(verifying, "open_memory", open_memory)
    elsewhere = settings(tmp_path).model_copy(update={"memory_backend": "zep"})
    assert (await verifying.memory_finding(elsewhere)).count == wrong
