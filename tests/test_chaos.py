"""The chaos bench: its checker sees every wrong there is, its faults happen; and its short form."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import apsw
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from enrichment import database
from tests.bench.report import Bar
from tests.bench.short_form import short_form
from tests.chaos.bars import LEAST_TURNS, Played, bars_of
from tests.chaos.checker import Kept, check
from tests.chaos.disks import CrampedDisk, under_sqlite
from tests.chaos.history import Conversations, History
from tests.chaos.outcome import Outcome
from tests.chaos.power import cut
from tests.chaos.scenarios import SCENARIOS

SIGNER = GrantSigner(Ed25519PrivateKey.generate(), environment="development")


@pytest.fixture
def history():
    """Three sessions, all of them sent and promised."""
    history = History()
    for session in islice(Conversations("test", 1, SIGNER), 3):
        history.add(session)
        history.send(session, list(session.turns))
        history.ack(session.session_id, list(session.turns))
    return history


@pytest.fixture
def kept(history):
    """What a memory holds that made no mistake; the sessions came side by side."""
    each = [
        [Kept(session.person, session.session_id, *turn) for turn in session.turns.items()]
        for session in history.sessions.values()
    ]
    return [turn for row in zip(*each, strict=True) for turn in row]


def wrongs(history, kept):
    verdict = check(history, kept)
    names = ("lost", "doubled", "disordered", "foreign", "invented")
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_nothing_is_wrong_with_a_memory_that_holds_all_in_order(history, kept):
    assert wrongs(history, kept) == {}
    assert check(history, kept).remembered == len(history.acked) == 60


def test_a_turn_that_was_removed_is_lost(history, kept):
    del kept[17]
    assert wrongs(history, kept) == {"lost": 1}


def test_what_was_sent_and_never_promised_may_be_missing(history, kept):
    gone = kept.pop()
    history.acked.discard((gone.session_id, gone.turn_id))
    assert wrongs(history, kept) == {}


def test_a_turn_that_is_there_twice_is_doubled(history, kept):
    assert wrongs(history, [*kept, kept[-1]]) == {"doubled": 1}


def test_a_turn_that_is_there_again_under_another_id_is_doubled(history, kept):
    again = kept[-1]._replace(turn_id="item_999")
    assert wrongs(history, [*kept, again]) == {"doubled": 1, "invented": 1}


def test_two_turns_of_a_session_that_changed_places_are_disordered(history, kept):
    kept[0], kept[3] = kept[3], kept[0]
    assert wrongs(history, kept) == {"disordered": 1}


def test_a_turn_that_came_long_after_its_place_is_disordered(history, kept):
    kept.append(kept.pop(0))
    assert wrongs(history, kept) == {"disordered": 1}


def test_another_person_s_turn_is_foreign(history, kept):
    kept[5] = kept[5]._replace(person="somebody else")
    assert wrongs(history, kept) == {"foreign": 1}


def test_a_turn_with_other_words_is_invented(history, kept):
    kept[5] = kept[5]._replace(text="I never said that")
    assert wrongs(history, kept) == {"invented": 1}


def test_a_turn_that_nobody_sent_is_invented(history, kept):
    last = kept[-1]
    history.sent.discard((last.session_id, last.turn_id))
    history.acked.discard((last.session_id, last.turn_id))
    assert wrongs(history, kept) == {"invented": 1}


async def test_a_power_cut_takes_nothing_that_was_synced():
    verdicts = [await cut(f"sound {number}", SIGNER) for number in range(5)]
    assert sum(verdict.acked for verdict in verdicts) > 0
    assert [verdict.wrong for verdict in verdicts] == [0] * 5


async def test_a_power_cut_is_seen_to_take_what_was_not_synced(monkeypatch):
    def careless(path, connect=database.connect):
        connection = connect(path)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    monkeypatch.setattr(database, "connect", careless)
    verdicts = [await cut(f"careless {number}", SIGNER) for number in range(10)]
    assert sum(verdict.lost for verdict in verdicts) > 0


def test_on_a_full_disk_nothing_grows_until_there_is_room_again(tmp_path):
    full = tmp_path / "full"
    with under_sqlite(CrampedDisk(full), "cramped"):
        connection = apsw.Connection(str(tmp_path / "file.db"))
        connection.execute("CREATE TABLE line (text)")
        full.touch()
        with pytest.raises(apsw.FullError):
            connection.execute("INSERT INTO line VALUES (randomblob(100000))")
        full.unlink()
        connection.execute("INSERT INTO line VALUES (randomblob(100000))")
        assert connection.execute("SELECT count(*) FROM line").get == 1
        connection.close()


def missed(*played, is_whole=False):
    return [bar.promise for bar in bars_of(played, is_whole=is_whole) if not bar.is_met]


def test_a_single_turn_that_is_lost_misses_the_bar(history, kept):
    sound, short = check(history, kept), check(history, kept[1:])
    assert missed(Played("killed", "sqlite", 1.0, Outcome(sound))) == []
    assert len(missed(Played("killed", "sqlite", 1.0, Outcome(short)))) == 1


def test_a_scenario_that_broke_or_in_which_nothing_was_kept_misses_the_bar():
    nothing = check(History(), [])
    assert len(missed(Played("killed", "sqlite", 1.0, None, "stays silent"))) == 1
    assert len(missed(Played("killed", "sqlite", 1.0, Outcome(nothing)))) == 1


def test_a_fault_that_did_not_happen_misses_its_bar(history, kept):
    outcome = Outcome(check(history, kept), bars=[Bar("kills, at least 100", "99", False)])
    assert missed(Played("killed", "sqlite", 1.0, outcome)) == ["sqlite, kills, at least 100"]


def test_the_whole_counts_its_turns(history, kept):
    few = check(history, kept)
    enough = replace(few, acked=LEAST_TURNS)
    assert len(missed(Played("killed", "sqlite", 1.0, Outcome(few)), is_whole=True)) == 1
    assert missed(Played("killed", "sqlite", 1.0, Outcome(enough)), is_whole=True) == []


async def test_the_short_form_loses_doubles_and_disorders_nothing(tmp_path):
    ran = await short_form("tests.chaos", "chaos", tmp_path)
    assert len(ran.bars) >= len(SCENARIOS)
    assert ran.code == 0, ran.printed
