"""The embedded memory: what was said, once, in order, and found again."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enrichment.memory.embedded import EmbeddedMemory, match_any
from enrichment.memory.embedded_schema import TABLES
from enrichment.memory.port import Episodes, Forgotten, Found, Recalled
from tests.enrichment.build import turn

FIRST_INDEX = """
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = 'turn', content_rowid = 'seq', tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER turn_words AFTER INSERT ON turn BEGIN
    INSERT INTO words (rowid, text) VALUES (new.seq, new.text);
END;
CREATE TRIGGER turn_words_gone AFTER DELETE ON turn BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.seq, old.text);
END;
"""


@pytest.fixture
async def memory(tmp_path):
    memory = EmbeddedMemory(tmp_path / "memory.db")
    yield memory
    await memory.close()


async def test_a_turn_is_kept_once_with_all_it_says(memory):
    first = turn("a", "Grüße aus Köln", after="z")
    await memory.remember("p", "s", [first])
    await memory.remember("p", "s", [first, turn("b")])
    assert await memory.episode("p", "s") == [first, turn("b")]


async def test_nobody_reads_another_s_memory(memory):
    await memory.remember("alice", "s", [turn("a", "my secret garden")])
    assert await memory.episode("bob", "s") == []
    assert await memory.episodes("bob", limit=9) == Episodes([], None)
    assert await memory.recall("bob", "s", limit=9) == Recalled(turns=[])
    assert await memory.search("bob", "secret garden", limit=9) == Found(turns=[])
    assert await memory.forget_person("bob") == Forgotten(0, 0)
    assert len(await memory.episode("alice", "s")) == 1


async def test_episodes_come_newest_first_with_how_they_began(memory):
    await memory.remember("p", "old", [turn("a", "first words " * 20), turn("b")])
    await memory.remember("p", "new", [turn("c", "later words")])
    episodes = (await memory.episodes("p", limit=9)).page
    assert [(e.session_id, e.turns) for e in episodes] == [("new", 1), ("old", 2)]
    assert episodes[1].opening == ("first words " * 20)[:80]


async def test_recall_gives_what_the_person_said_last(memory):
    await memory.remember("p", "s", [turn(f"t{n}", f"fact {n}") for n in range(20)])
    await memory.remember("p", "s", [turn("mine", "an answer", speaker="assistant")])
    recalled = await memory.recall("p", None, limit=3)
    assert [each.text for each in recalled.turns] == ["fact 19", "fact 18", "fact 17"]


async def test_recall_finds_what_shares_words_with_the_conversation(memory):
    await memory.remember("p", "old", [turn("a", "Müller wants a dashboard")])
    await memory.remember("p", "old", [turn(f"t{n}", f"small talk {n}") for n in range(50)])
    await memory.remember("p", "now", [turn("q", "what about the muller dashboard")])
    recalled = [each.turn_id for each in (await memory.recall("p", "now", limit=6)).turns]
    assert "a" in recalled
    assert recalled[0] == "q"


def test_a_query_is_words_and_never_syntax():
    words = '"near" OR "or" OR "a" OR "x"'
    assert match_any("p", 'a" OR * NEAR(x') == f'owner : "p70" AND text : ({words})'
    assert match_any("p", "--- ()") == ""


async def test_what_others_said_is_not_even_looked_at(memory):
    """A word of the query finds words that were said, never the word that stands for a person."""
    await memory.remember("p", "s", [turn("a", "hello")])
    assert await memory.search("p", "p70", limit=9) == Found(turns=[])


def words_in(tmp_path):
    return b"".join(path.read_bytes() for path in tmp_path.iterdir()).lower()


async def test_no_word_of_what_was_forgotten_is_left_in_the_file(tmp_path):
    memory = EmbeddedMemory(tmp_path / "memory.db")
    await memory.remember("p", "s", [turn("a", "the quokka sleeps"), turn("b", "the wombat wakes")])
    assert b"quokka" in words_in(tmp_path)
    await memory.forget_session("p", "s")
    await memory.close()
    assert b"quokka" not in words_in(tmp_path)
    assert b"wombat" not in words_in(tmp_path)


async def test_a_file_of_the_first_version_is_found_in_as_before(tmp_path):
    connection = apsw.Connection(str(tmp_path / "memory.db"))
    connection.execute(TABLES + FIRST_INDEX)
    connection.execute(
        "INSERT INTO turn (person, session_id, turn_id, speaker, text, spoken_at, interrupted)"
        " VALUES ('p', 's', 'a', 'user', 'the quokka sleeps', '2026-11-20T08:00:00+00:00', 0)"
    )
    connection.close()
    memory = EmbeddedMemory(tmp_path / "memory.db")
    assert [match.turn.turn_id for match in (await memory.search("p", "quokka", limit=9)).turns] == ["a"]
    await memory.forget_person("p")
    assert await memory.search("p", "quokka", limit=9) == Found(turns=[])
    await memory.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path):
    await EmbeddedMemory(tmp_path / "memory.db").close()
    connection = apsw.Connection(str(tmp_path / "memory.db"))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RuntimeError, match="newer version"):
        EmbeddedMemory(tmp_path / "memory.db")


@given(text=st.text(min_size=1, max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
async def test_no_text_can_break_the_search(memory, text):
    kept = turn(f"t{abs(hash(text))}", text.encode(errors="replace").decode())
    await memory.remember("p", "now", [kept])
    await memory.recall("p", "now", limit=6)
    await memory.search("p", text, limit=6)
