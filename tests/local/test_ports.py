"""Ports for processes of many tests at a time."""

from __future__ import annotations

from itertools import islice

from tests.local import processes


def test_no_two_workers_of_the_tests_choose_the_same_port_and_none_chooses_one_twice(monkeypatch):
    chosen = []
    for worker in ("gw0", "gw1", "gw3"):
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        chosen += islice(processes._ports.__wrapped__(), 500)
    assert len(set(chosen)) == 3 * 500
    assert min(chosen) >= processes.FIRST_PORT
    assert max(chosen) < processes.LAST_PORT
