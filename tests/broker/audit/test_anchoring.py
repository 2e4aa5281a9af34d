"""Anchors: as soon as there is something, once a change, and again after one that failed."""

from __future__ import annotations

from broker.edge.audit.anchoring import Anchoring
from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import Head


class Anchored:
    """Keeps the contract of `Anchors` in a list; ``faults`` come first."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.kept = []

    async def put(self, head, at_s):
        if self.faults:
            raise self.faults.pop(0)
        self.kept.append(head.n)


async def kept_after(anchors, *heads):
    left = [Head("c", n) for n in heads]
    anchoring = Anchoring(anchors, lambda: left.pop(0), lambda: 0.0)
    for _ in heads:
        await anchoring.anchor()
    return anchors.kept


async def test_what_is_new_is_anchored_once():
    assert await kept_after(Anchored(), 0, 1, 1, 5, 5) == [1, 5]


async def test_an_anchor_that_failed_is_put_by_the_next():
    assert await kept_after(Anchored(SinkFailed("full"), TimeoutError()), 1, 1, 2, 2) == [2]
