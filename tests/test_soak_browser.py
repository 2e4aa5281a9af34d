"""The soak of the browser's outbox: its bars see every wrong there is; and a few ends, played."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.edge.grants import GrantSigner
from tests import chromium
from tests.bench.soak_browser.bars import LEAST_ENDS, LEAST_TURNS, SHORT_ENDS, bars_of
from tests.bench.soak_browser.ends import ENDS, Ended
from tests.bench.soak_browser.soak import Calm, Size, Soaked, plans, whole
from tests.chaos.checker import Kept, Verdict
from tests.chaos.history import Conversations, History
from tests.local.processes import ROOT

SIGNER = GrantSigner(Ed25519PrivateKey.generate(), environment="development")
FLAWLESS = Verdict(
    sent=4_000, acked=3_500, remembered=3_500, lost=0, doubled=0, disordered=0, foreign=0, invented=0
)
HAPPENED = {"storm": 10, "dropped": 10, "refused": 10}
GOOD = Soaked(
    calm=Calm(turns=240, duplicates=0),
    ended=[Ended(name, 1, 10, 1.0) for name in plans(Size(LEAST_ENDS, profiles=1), 1)[0]],
    verdict=FLAWLESS,
    interrupted=3,
    waited=100,
    waiting=0,
    seen=HAPPENED,
    seconds=200.0,
)


def missed(soaked, *, is_whole=True):
    return [bar.seen for bar in bars_of(soaked, is_whole=is_whole) if not bar.is_met]


def test_a_flawless_soak_misses_nothing():
    assert missed(GOOD) == []
    assert missed(GOOD, is_whole=False) == []


@pytest.mark.parametrize("wrong", ["lost", "doubled", "disordered", "foreign", "invented"])
def test_one_wronged_turn_is_too_many(wrong):
    soaked = replace(GOOD, verdict=replace(FLAWLESS, **{wrong: 1}))
    assert len(missed(soaked)) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"waiting": 1},
        {"calm": Calm(turns=240, duplicates=3)},
        {"calm": Calm(turns=0, duplicates=0)},
        {"seen": HAPPENED | {"storm": 0}},
        {"waited": 0},
        {"ended": GOOD.ended[1:]},
        {"verdict": replace(FLAWLESS, acked=LEAST_TURNS - 1)},
        {"interrupted": 0},
    ],
    ids=str,
)
def test_what_was_not_shown_is_a_miss(change):
    assert len(missed(replace(GOOD, **change))) == 1


def test_every_kind_of_end_comes_about_equally_often():
    for size in (Size(LEAST_ENDS), Size(SHORT_ENDS)):
        names = [name for row in plans(size, 1) for name in row]
        assert len(names) == size.ends
        counts = {name: names.count(name) for name in ENDS}
        assert max(counts.values()) - min(counts.values()) <= 1


def test_only_what_no_page_stored_whole_may_be_remembered_in_part():
    history = History()
    (session,) = islice(Conversations("soak", 1, SIGNER), 1)
    history.add(session)
    first, second = list(session.turns)[:2]
    history.send(session, [first, second])
    history.ack(session.session_id, [first])
    parts = [
        Kept(session.person, session.session_id, turn_id, session.turns[turn_id][:-3])
        for turn_id in (first, second)
    ]
    mended, interrupted = whole(parts, history)
    assert interrupted == 1
    assert [turn.text == session.turns[turn.turn_id] for turn in mended] == [False, True]


def test_a_few_ends_are_survived(tmp_path):
    chromium.executable()  # without a browser this is no failure of the outbox
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.soak_browser", "--ends", str(len(ENDS))],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / ".bench" / "soak-browser.json").read_text())
    assert {row["end"]: row["times"] for row in result["rows"]} == dict.fromkeys(ENDS, 1)
