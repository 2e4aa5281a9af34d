"""Whatever is done to an audit is found, and the first wrong line is named."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.edge.audit.sealing import BadLine, Head, Seal
from broker.edge.audit.stored import places_in_rows
from broker.edge.audit.verifying import Place, read_anchors, verify
from tests.broker.audit.build import SEAL, sealed

LOGS = st.integers(1, 12).map(sealed)
TEXT = st.text(max_size=20) | st.integers() | st.none() | st.booleans()


def found(texts, anchors=None, *, name="c"):
    """What is wrong with one chain of these lines: kind and line, or None."""
    places = [Place(name, "f", number, text) for number, text in enumerate(texts, 1)]
    findings = verify(places, SEAL, {name: anchors} if anchors else {}, is_all=False)
    return (findings.wrong[0].kind, findings.wrong[0].where) if findings.wrong else None


def texts_of(lines):
    return [line.text for line in lines]


@given(st.lists(st.dictionaries(st.text(max_size=8), TEXT, max_size=5), max_size=8))
def test_whatever_was_said_a_log_that_nobody_touched_is_whole(entries):
    head, texts = Head("c"), []
    for fields in entries:
        line = SEAL.line(
            head, b"2026", {"action": "erase"} | {f"a {name}": value for name, value in fields.items()}
        )
        texts.append(line.text)
        head = line.head
    assert found(texts, [head] if texts else None) is None
    assert all(b"\n" not in text and text.isascii() and json.loads(text)["hash"] for text in texts)


@given(LOGS, st.data())
def test_a_changed_byte_is_found_in_its_line(lines, data):
    texts = texts_of(lines)
    number = data.draw(st.integers(0, len(texts) - 1))
    place = data.draw(st.integers(0, len(texts[number]) - 1))
    flip = data.draw(st.integers(1, 255))
    changed = bytearray(texts[number])
    changed[place] ^= flip
    texts[number] = bytes(changed)
    kind, where = found(texts)
    assert where == f"f, line {number + 1}"
    assert kind == "changed"


@given(st.integers(2, 12).map(sealed), st.data())
def test_a_deleted_line_is_found_where_it_is_missing(lines, data):
    number = data.draw(st.integers(0, len(lines) - 2))
    texts = texts_of(lines)
    del texts[number]
    assert found(texts) == ("missing", f"f, line {number + 1}")


@given(st.integers(2, 12).map(sealed), st.integers())
def test_another_order_is_found(lines, seed):
    shuffled = lines[:]
    random.Random(seed).shuffle(shuffled)
    if shuffled != lines:
        assert found(texts_of(shuffled)) is not None


@given(LOGS, st.data())
def test_a_repeated_line_is_found(lines, data):
    texts = texts_of(lines)
    number = data.draw(st.integers(0, len(texts) - 1))
    texts.insert(number + 1, texts[number])
    assert found(texts) == ("moved", f"f, line {number + 2}")


@given(LOGS, st.data())
def test_a_cut_tail_is_found_by_its_anchor(lines, data):
    left = data.draw(st.integers(1, len(lines)))
    kind, where = found(texts_of(lines[:left]), [lines[-1].head]) or ("whole", "")
    assert kind == ("whole" if left == len(lines) else "cut off")
    if kind == "cut off":
        assert where == f"f, line {left}"


@given(LOGS, st.data())
def test_who_has_the_key_and_writes_the_chain_anew_is_found_by_an_anchor(lines, data):
    anchor = data.draw(st.sampled_from(lines)).head
    anew = sealed(len(lines), actor="somebody else")
    assert found(texts_of(anew), [anchor]) == ("rewritten", f"f, line {anchor.n}")


@given(LOGS)
def test_lines_of_another_chain_or_of_another_key_are_found(lines):
    assert found(texts_of(sealed(3, chain="d"))) == ("moved", "f, line 1")
    other = Seal(b"another-audit-key-0123456789abcdef").line(lines[-1].head, b"2026", {"action": "erase"})
    assert found([*texts_of(lines), other.text]) == ("changed", f"f, line {len(lines) + 1}")


def test_a_line_that_somebody_with_the_key_put_between_is_found():
    lines = sealed(4)
    between = SEAL.line(lines[0].head, b"2026", {"actor": "somebody else"})
    assert found([lines[0].text, between.text, *texts_of(lines[2:])]) == ("changed", "f, line 3")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[" * 50_000,
        b'{"n":1,"chain":"c","prev":"\\ud800","hash":"' + b"0" * 64 + b'"}',
        b'{"n":1,"chain":"c","prev":1,"hash":"' + b"0" * 64 + b'"}',
        b'{"n":' + b"9" * 5_000 + b',"hash":"' + b"0" * 64 + b'"}',
        b"\xff" * 100,
    ],
)
def test_what_was_never_a_line_is_found_and_ends_nothing(text):
    assert found([text]) == ("changed", "f, line 1")


def test_a_whole_chain_that_is_gone_is_found_by_its_anchor():
    lines = sealed(3)
    rows = [("c", line.text) for line in lines]
    anchors = {"c": [lines[1].head], "gone": [Head("gone", 9, "h")]}
    (wrong,) = verify(places_in_rows(rows), SEAL, anchors, is_all=True).wrong
    assert (wrong.chain, wrong.kind, wrong.where) == ("gone", "cut off", "the chain gone")


def test_each_chain_is_told_of_by_itself():
    rows = [(chain, line.text) for chain in "abc" for line in sealed(3, chain=chain)]
    del rows[4]
    findings = verify(
        places_in_rows(rows), SEAL, {"a": [Head("a", 3, sealed(3, "a")[-1].head.hash)]}, is_all=True
    )
    assert (findings.lines, findings.chains, findings.unanchored) == (8, 3, ["b", "c"])
    assert [(wrong.chain, wrong.where) for wrong in findings.wrong] == [("b", "chain b, line 2")]


@pytest.mark.parametrize("line", [b"", b"[]", b'{"chain":"c","n":1}', b'{"chain":"c","n":true,"hash":"h"}'])
def test_what_is_no_anchor_is_refused(line):
    with pytest.raises(BadLine):
        read_anchors([line])


def test_the_name_of_a_key_does_not_tell_the_key():
    assert b"canary" not in SEAL.key_name.encode()
    assert SEAL.key_name != Seal(b"x" * 32).key_name
