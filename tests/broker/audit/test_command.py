"""``python -m broker audit verify``: what it says, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from broker.edge.audit.command import run
from broker.edge.audit.files import FileSink, anchor_line
from broker.edge.audit.postgres import PostgresSink
from tests.broker.audit.build import KEY, sealed
from tests.local.processes import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Two chains of five lines, both anchored, and the key to them in the environment."""
    monkeypatch.setenv("AUDIT_KEY", KEY.decode())
    for chain in ("a", "b"):
        lines = sealed(5, chain)
        FileSink(tmp_path / "audit", chain).append(lines)
        (tmp_path / "anchors").mkdir(exist_ok=True)
        (tmp_path / f"anchors/{chain}.jsonl").write_bytes(anchor_line(lines[-1].head, 0))
    return tmp_path


@pytest.fixture
def verify(folder, capsys):
    def verify(path="audit", *, anchors: str | None = "anchors", database=False, as_json=False):
        where = path and folder / path
        arguments = Namespace(
            path=where, database=database, anchors=anchors and folder / anchors, json=as_json
        )
        try:
            code = run(arguments)
        except SystemExit as exc:
            code = int(exc.code or 0)
        read = capsys.readouterr()
        assert "canary" not in read.out + read.err
        return int(code), read.out, read.err

    return verify


def damage(file: Path, old: bytes, new: bytes):
    file.write_bytes(file.read_bytes().replace(old, new, 1))


def test_a_whole_audit_is_one_line_and_0(verify):
    assert verify() == (0, "OK: 10 lines in 2 chains, each as it was written.\n", "")


def test_one_wrong_line_is_named_with_its_file(verify, folder):
    damage(folder / "audit/a.0001.jsonl", b"2026-3", b"2026-4")
    code, out, _ = verify()
    assert code == 1
    assert out.splitlines() == [
        "WRONG  a.0001.jsonl, line 4 (changed): its seal is broken: changed, or sealed with another key.",
        "WRONG: 1 of 2 chains, 10 lines. Copy everything before you touch it.",
    ]


def test_a_cut_tail_and_a_chain_that_is_gone_are_told_by_the_anchors(verify, folder):
    file = folder / "audit/a.0001.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:3]))
    (folder / "audit/b.0001.jsonl").unlink()
    code, out, _ = verify()
    assert code == 1
    assert "a.0001.jsonl, line 3 (cut off): ends with n 3, and was anchored at n 5" in out
    assert "the chain b (cut off): was anchored at n 5, and is not here at all" in out


def test_a_file_cannot_be_named_so_that_it_does_something_to_a_terminal(verify, folder):
    (folder / "audit/\x1b[2J\udcff.jsonl").write_text("{}\n")
    code, out, _ = verify(as_json=False)
    assert code == 1
    assert "\x1b" not in out
    assert verify(as_json=True)[0] == 1


def test_without_anchors_it_says_what_nobody_can_know(verify):
    code, out, _ = verify(anchors=None)
    assert code == 0
    assert "No anchor for 2 of them" in out


def test_one_file_is_checked_by_itself(verify):
    assert verify("audit/a.0001.jsonl")[:2] == (0, "OK: 5 lines in 1 chain, each as it was written.\n")


def test_with_another_key_it_asks_whether_the_key_is_theirs(verify, monkeypatch):
    monkeypatch.setenv("AUDIT_KEY", "another-audit-key-0123456789abcdef")
    code, out, _ = verify()
    assert code == 1
    assert "is AUDIT_KEY theirs?" in out


def test_for_scripts_it_is_json(verify, folder):
    damage(folder / "audit/b.0001.jsonl", b"2026-0", b"2026-1")
    code, out, _ = verify(as_json=True)
    told = json.loads(out)
    assert (code, told["whole"], told["lines"], told["chains"]) == (1, False, 10, 2)
    assert told["wrong"][0]["where"] == "b.0001.jsonl, line 1"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"path": "nowhere"}, "cannot be read"),
        ({"anchors": "nowhere"}, "cannot be read"),
        ({"anchors": "audit/a.0001.jsonl/x"}, "cannot be read"),
        ({"path": None}, "name a PATH, or --database"),
        ({"path": None, "database": True}, "AUDIT_URL: must be postgresql://"),
    ],
)
def test_what_cannot_be_checked_is_2(verify, given, says):
    code, out, err = verify(**given)
    assert (code, out) == (2, "")
    assert says in err


def test_an_anchor_that_is_none_is_2(verify, folder):
    (folder / "anchors/c.jsonl").write_text("{}\n")
    assert verify()[0] == 2


@pytest.mark.parametrize("key", [None, "canary"])
def test_without_a_key_nothing_is_said(verify, monkeypatch, key):
    monkeypatch.delenv("AUDIT_KEY") if key is None else monkeypatch.setenv("AUDIT_KEY", key)
    code, out, err = verify()
    assert (code, out) == (2, "")
    assert "AUDIT_KEY: " in err


def test_a_database_is_checked_where_the_settings_say(verify, database, monkeypatch):
    sink = PostgresSink(database)
    sink.append(sealed(3, "a"))
    sink.close()
    monkeypatch.setenv("AUDIT_URL", database)
    assert verify(None, database=True, anchors=None)[0] == 0
    code, out, _ = verify(None, database=True)
    assert code == 1
    assert "chain a, line 3 (cut off)" in out


def test_a_database_that_is_away_is_2(verify, monkeypatch):
    monkeypatch.setenv("AUDIT_URL", "postgresql://tests@/postgres?host=/nowhere")
    code, _, err = verify(None, database=True)
    assert code == 2
    assert "the database: OperationalError" in err


def test_as_a_process_it_needs_no_other_setting(folder):
    command = [sys.executable, "-m", "broker", "audit", "verify", str(folder / "audit")]
    environment = {"PATH": os.environ["PATH"], "AUDIT_KEY": KEY.decode()}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("OK: 10 lines in 2 chains")
