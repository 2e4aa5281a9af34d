"""``python -m enrichment outbox``, ``erase``, ``ballast``: what operators read and change."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager

import apsw
import pytest

from enrichment.disk import Lock
from enrichment.memory.port import Unreachable
from enrichment.operating import erasing, opening
from tests.enrichment.build import FakeMemory
from tests.enrichment.operator import SAID, Shell, Terminal, fill, opened, states

LOOKING = ["outbox stats", "outbox ls", "outbox show s-1", "outbox export", "verify"]
CHANGING = [
    "outbox replay s-1 --yes",
    "outbox replay --all-parked --yes",
    "outbox drop s-1 u2 --reason spam --yes",
    "erase alice --yes",
    "erase alice --session s-1 --yes",
]
REVOKING = "revoke alice --yes"


@pytest.fixture
def empty_shell(tmp_path, monkeypatch, capfd):
    """In a folder where no outbox is yet."""
    monkeypatch.setenv("ENVIRONMENT", "development")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    return Shell(tmp_path, monkeypatch, capfd)


@pytest.fixture
def shell(empty_shell):
    fill(empty_shell.data)
    return empty_shell


@pytest.fixture
def served(shell):
    """The shell, while another process has the files open."""
    locks = [Lock(shell.data / f"{name}.db.lock") for name in ("outbox", "memory")]
    yield shell
    for lock in locks:
        lock.release()


def test_stats_tell_how_much_waits_and_since_when(shell):
    read = shell("outbox stats")
    assert read.code == 0
    assert "pending    2 turns in 2 sessions, the oldest 2 h old" in read.out
    assert "parked     1 turns in 1 sessions" in read.out
    told = json.loads(shell("outbox stats --json").out)
    assert told.pop("oldest_s") >= 7_200
    assert told == {
        "pending": 2,
        "parked": 1,
        "sessions": 2,
        "sessions_waiting": 2,
        "sessions_with_parked": 1,
        "delivered": 1,
        "erasures_to_confirm": 0,
        "last_errors": {},
    }


def test_ls_shows_whose_each_session_is_and_what_waits_of_it(shell):
    read = shell("outbox ls")
    rows = [line.split() for line in read.out.splitlines()[2:]]
    assert [row[:6] for row in rows] == [
        ["s-1", "alice", "1", "1", "1", "0"],
        ["s-2", "bob", "1", "0", "0", "0"],
    ]


def test_ls_can_be_told_a_state(shell):
    told = json.loads(shell("outbox ls --state parked --json").out)
    assert [line["session_id"] for line in told["sessions"]] == ["s-1"]


def test_ls_goes_on_where_a_page_ended(shell):
    first = shell("outbox ls --limit 1")
    assert "--after s-1" in first.err
    told = json.loads(shell("outbox ls --limit 2 --after s-1 --json").out)
    assert [line["session_id"] for line in told["sessions"]] == ["s-2"]
    assert told["after"] is None


def test_ls_takes_no_limit_that_is_none(shell):
    assert shell("outbox ls --limit 0").code == 2


def test_show_tells_how_long_a_turn_is_and_not_what_it_says(shell):
    rows = [line.split() for line in shell("outbox show s-1").out.splitlines()[2:]]
    assert [(row[0], row[2], row[3]) for row in rows] == [
        ("u1", "delivered", "-"),
        ("u2", "parked", str(len(SAID))),
        ("u3", "pending", str(len(SAID))),
    ]
    assert rows[1][-2:] == ["too", "long"]
    assert "text" not in json.loads(shell("outbox show s-1 --json").out)["turns"][0]


def test_show_tells_what_was_said_when_asked_and_does_nothing_to_the_terminal(shell):
    read = shell("outbox show s-2 --text")
    assert SAID in read.out
    assert "\\x1b[2J" in read.out
    assert "\x1b" not in read.out
    assert "\u202e" not in read.out
    assert SAID in json.loads(shell("outbox show s-2 --text --json").out)["turns"][0]["text"]


def test_a_session_that_is_not_there_is_said_to_be_none(shell):
    assert shell("outbox show s-9").code == 1


def test_replay_makes_parked_turns_pending(shell):
    assert "1 turn will be delivered again" in shell("outbox replay s-1 --yes").out
    assert states(shell.data)["u2"] == "pending"
    assert shell("outbox replay s-1 --yes").code == 1


def test_all_that_is_parked_is_replayed_at_once(shell):
    assert json.loads(shell("outbox replay --all-parked --yes --json").out) == {"replayed": 1}
    assert json.loads(shell("outbox replay --all-parked --yes --json").out) == {"replayed": 0}


def test_replay_wants_to_know_what(shell):
    assert shell("outbox replay --yes").code == 2
    assert shell("outbox replay s-1 --all-parked --yes").code == 2


@pytest.mark.parametrize("words", [words.replace(" --yes", "") for words in CHANGING])
def test_nothing_is_changed_without_a_yes(shell, words):
    before = states(shell.data)
    by_nobody = shell(words)
    assert (by_nobody.code, "--yes" in by_nobody.err) == (2, True)
    assert shell(words, typing=Terminal("")).code == 1
    assert shell(words, typing=Terminal("no")).code == 1
    assert shell(words, typing=Terminal(None)).code == 130
    assert states(shell.data) == before
    assert shell(words, typing=Terminal("y")).code == 0
    assert states(shell.data) != before


def test_drop_takes_the_text_and_keeps_the_id_and_the_reason(shell):
    assert shell("outbox drop s-1 u2 --reason spam --yes").code == 0
    (turn,) = [
        turn for turn in json.loads(shell("outbox show s-1 --json").out)["turns"] if turn["turn_id"] == "u2"
    ]
    assert (turn["characters"], turn["reason"]) == (None, "dropped: spam")


def test_only_what_is_parked_can_be_dropped(shell):
    assert shell("outbox drop s-1 u3 --reason spam --yes").code == 1
    assert shell("outbox drop s-1 u2 --yes").code == 2
    assert states(shell.data) == {"u1": "delivered", "u2": "parked", "u3": "pending"}


def test_export_writes_what_is_not_in_memory_a_line_each(shell):
    read = shell("outbox export")
    turns = [json.loads(line) for line in read.out.splitlines()]
    assert [(turn["person"], turn["turn_id"], turn["state"]) for turn in turns] == [
        ("alice", "u2", "parked"),
        ("alice", "u3", "pending"),
        ("bob", "v1", "pending"),
    ]
    assert turns[1]["previous_turn_id"] == "u2"
    assert read.err == "3 turns exported.\n"


def test_an_exported_file_is_whole_and_only_its_owner_s(shell):
    file = shell.data / "out.jsonl"
    assert "3 turns exported." in shell(f"outbox export --text --output {file}").out
    assert SAID in json.loads(file.read_text().splitlines()[0])["text"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(shell.data.glob("*.part"))


def test_export_never_writes_over_a_file(shell):
    file = shell.data / "out.jsonl"
    file.write_text("mine")
    assert shell(f"outbox export --output {file}").code == 1
    assert file.read_text() == "mine"
    assert shell("outbox export --output /nowhere/at/all").code == 1


def test_a_person_is_erased_everywhere_and_the_certificate_says_so(shell):
    read = shell("erase alice --yes --json")
    told = json.loads(read.out)
    assert (read.code, told["complete"], told["erased"]) == (0, True, "everything")
    assert (told["outbox"], told["memory"]) == ({"sessions": 1, "turns": 3}, {"sessions": 1, "turns": 1})
    assert states(shell.data) == {}
    assert asyncio.run(remembered(shell.data)) == []
    again = shell("erase alice --yes")
    assert (again.code, "Nothing was there" in again.out) == (0, True)


async def remembered(data):
    async with opened(data) as (_, memory):
        return list(await memory.episode("alice", "s-1"))


def test_a_session_is_erased_for_its_person_alone(shell):
    assert shell("erase bob --session s-1 --yes").code == 1
    assert len(states(shell.data)) == 3
    assert shell("erase alice --session s-1 --yes").code == 0
    assert states(shell.data) == {}


def test_an_erasure_that_memory_has_not_confirmed_ends_with_3_and_is_kept(shell, monkeypatch):
    class Down(FakeMemory):
        async def forget_person(self, person):
            raise Unreachable("down")

    @asynccontextmanager
    async def open_down(_settings):
        yield Down()

    with monkeypatch.context() as while_down:
        while_down.setattr(erasing, "open_memory", open_down)
        read = shell("erase alice --yes")
    assert (read.code, "HAS STILL TO CONFIRM" in read.out) == (3, True)
    assert json.loads(shell("outbox stats --json").out)["erasures_to_confirm"] == 1
    assert shell("erase alice --yes").code == 0
    assert json.loads(shell("outbox stats --json").out)["erasures_to_confirm"] == 0


def test_an_erasure_waits_for_a_deliverer_that_may_still_be_writing(shell):
    async def claim():
        async with opened(shell.data) as (outbox, _):
            await outbox.claim()
            await outbox.claim()

    asyncio.run(claim())
    assert shell("erase alice --yes").code == 3


@pytest.mark.parametrize("words", LOOKING)
def test_what_only_looks_works_while_the_service_runs(served, words):
    assert served(words).code == 0


@pytest.mark.parametrize("words", [*CHANGING, REVOKING])
def test_what_changes_something_has_to_wait_for_the_service(served, words):
    read = served(words)
    assert read.code == 75
    assert "stop it first" in read.err
    assert ("DELETE /memory/users/" in read.err) == words.startswith("erase")


def test_the_ballast_is_given_back_while_the_service_runs(served):
    ballast = served.data / "outbox.db.ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 2 * 1024 * 1024)
    assert "2 MiB are free again" in served("ballast drop").out
    assert not ballast.exists()
    assert served("ballast drop").code == 1


def test_a_command_lays_no_new_ballast_down(shell):
    shell("outbox replay s-1 --yes")
    assert not (shell.data / "outbox.db.ballast").exists()


@pytest.mark.parametrize("words", [*LOOKING, *CHANGING, REVOKING])
def test_every_command_works_through_the_port_of_another_engine(shell, monkeypatch, words):
    monkeypatch.setattr(opening, "is_embedded", lambda _settings: False)
    assert shell(words).code == 0


@pytest.mark.parametrize("words", [*LOOKING, *CHANGING, REVOKING])
def test_no_outbox_is_made_where_none_is(empty_shell, words):
    read = empty_shell(words)
    assert (read.code, "DATA_DIR" in read.err) == (78, True)
    assert list(empty_shell.data.iterdir()) == []


@pytest.mark.parametrize("words", [*LOOKING, *CHANGING, REVOKING, "ballast drop"])
def test_settings_that_do_not_hold_are_told_by_name_and_without_their_value(shell, monkeypatch, words):
    monkeypatch.setenv("GRANT_JWKS_URL", "https://me:canary@broker.example.org")
    read = shell(words)
    assert (read.code, "GRANT_JWKS_URL" in read.err) == (78, True)


@pytest.mark.parametrize("words", [LOOKING[0], CHANGING[0]])
def test_a_file_of_a_newer_version_is_left_alone(shell, words):
    db = apsw.Connection(str(shell.data / "outbox.db"))
    db.execute("PRAGMA user_version = 99")
    db.close()
    read = shell(words)
    assert (read.code, "version" in read.err) == (75, True)


@pytest.mark.parametrize("words", [*LOOKING[:-1], *CHANGING, REVOKING])
def test_a_file_that_is_none_of_sqlite_s_is_told_in_a_sentence(shell, words):
    (shell.data / "outbox.db").write_bytes(b"canary " * 10_000)
    assert shell(words).code == 75


@pytest.mark.parametrize("words", ["outbox", "erase", "revoke", "ballast", "verify", "outbox replay"])
def test_help_tells_the_exit_codes(empty_shell, words):
    read = empty_shell(f"{words} --help")
    assert read.code == 0
    assert "exit codes:" in read.out
    assert "75" in read.out


def test_a_bar_is_drawn_where_somebody_looks(shell, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    read = shell("outbox export")
    assert "100 %" in read.err
    assert len(read.out.splitlines()) == 3


def test_times_are_of_now(shell):
    accepted = json.loads(shell("outbox show s-1 --json").out)["turns"][0]["accepted_at"]
    assert 7_000 < time.time() - accepted < 8_000
