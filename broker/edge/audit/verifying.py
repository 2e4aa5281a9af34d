"""Whether an audit is whole: nothing changed, nothing missing, nothing moved, nothing cut off. Pure.

Each line tells by its own seal whether it was changed, and by number and ``prev`` whether it follows the one
before. That nothing was cut off at the end only an anchor tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from broker.edge.audit.sealing import BadLine, Head, Opened, Seal


@dataclass(frozen=True, slots=True)
class Place:
    """One line and where it is: a file and the number of the line there, or a chain and its row."""

    chain: str
    where: str
    number: int
    text: bytes
    is_whole: bool = True

    def __str__(self) -> str:
        return f"{self.where}, line {self.number}"


@dataclass(frozen=True, slots=True)
class Wrong:
    """The first thing that is wrong with one chain, and where."""

    chain: str
    kind: str
    where: str
    what: str


@dataclass(slots=True)
class Findings:
    """What checking came to. ``unanchored`` chains may have lost their end without a trace."""

    lines: int = 0
    chains: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    unanchored: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return not self.wrong


class _Chain:
    """One chain, read line by line; after the first wrong line nothing more is said of it."""

    def __init__(self, name: str, seal: Seal, anchors: Sequence[Head]) -> None:
        self.name = name
        self.wrong: Wrong | None = None
        self._seal = seal
        self._anchors = {anchor.n: anchor for anchor in anchors}
        self._last_anchor = max(self._anchors, default=0)
        self._head = Head(name)
        self._last_place = "its beginning"

    def read(self, place: Place) -> None:
        if self.wrong is None:
            self.wrong = self._wrong(place)
            self._last_place = str(place)

    def end(self) -> Wrong | None:
        if self.wrong is None and self._head.n < self._last_anchor:
            what = (
                f"ends with n {self._head.n}, and was anchored at n {self._last_anchor}: its end was cut off"
            )
            self.wrong = Wrong(self.name, "cut off", self._last_place, what)
        return self.wrong

    def _wrong(self, place: Place) -> Wrong | None:
        if not place.is_whole:
            what = "has no end: the machine stopped while it was written, or somebody cut it off"
            return Wrong(self.name, "cut off", str(place), what)
        try:
            opened = self._seal.open(place.text)
        except BadLine as exc:
            return Wrong(self.name, "changed", str(place), str(exc))
        if fault := self._out_of_place(opened) or self._beside_its_anchor(opened.head):
            return Wrong(self.name, fault[0], str(place), fault[1])
        self._head = opened.head
        return None

    def _out_of_place(self, opened: Opened) -> tuple[str, str] | None:
        due, found = self._head.n + 1, opened.head.n
        if opened.head.chain != self.name:
            return "moved", f"belongs to the chain {opened.head.chain}"
        if found > due:
            return "missing", f"has n {found} where n {due} is due: {found - due} missing before it, or moved"
        if found < due:
            return "moved", f"has n {found} where n {due} is due: moved, or repeated"
        if opened.prev != self._head.hash:
            return "changed", "does not follow the line before it: one of the two was put there later"
        return None

    def _beside_its_anchor(self, head: Head) -> tuple[str, str] | None:
        anchor = self._anchors.get(head.n)
        if anchor is None or anchor.hash == head.hash:
            return None
        return "rewritten", "is not what was anchored: somebody with the key wrote the chain anew"


def verify(
    places: Iterable[Place], seal: Seal, anchors: Mapping[str, Sequence[Head]], *, is_all: bool
) -> Findings:
    """Reads the lines of each chain in the order they are stored in; of chains one after the other.

    ``is_all``: whether these are all lines of the place, so that an anchored chain that is not there is gone.
    """
    findings = Findings()
    seen: set[str] = set()
    for chain in _chains(places, seal, anchors, findings):
        seen.add(chain.name)
        findings.chains += 1
        if wrong := chain.end():
            findings.wrong.append(wrong)
        if chain.name not in anchors:
            findings.unanchored.append(chain.name)
    for name in sorted(anchors.keys() - seen) if is_all else ():
        findings.chains += 1
        what = f"was anchored at n {max(head.n for head in anchors[name])}, and is not here at all"
        findings.wrong.append(Wrong(name, "cut off", f"the chain {name}", what))
    return findings


def _chains(
    places: Iterable[Place], seal: Seal, anchors: Mapping[str, Sequence[Head]], findings: Findings
) -> Iterator[_Chain]:
    chain: _Chain | None = None
    for place in places:
        if chain is None or chain.name != place.chain:
            if chain is not None:
                yield chain
            chain = _Chain(place.chain, seal, anchors.get(place.chain, ()))
        chain.read(place)
        findings.lines += 1
    if chain is not None:
        yield chain


def read_anchors(lines: Iterable[bytes]) -> dict[str, list[Head]]:
    """Chain -> its anchors. Raises `BadLine` for what is none."""
    anchors: dict[str, list[Head]] = {}
    for line in lines:
        head = _anchor(line)
        anchors.setdefault(head.chain, []).append(head)
    return anchors


def _anchor(line: bytes) -> Head:
    try:
        anchor = json.loads(line)
        chain, n, sealed = anchor["chain"], anchor["n"], anchor["hash"]
    except (ValueError, KeyError, TypeError) as exc:
        raise BadLine("not an anchor") from exc
    if not isinstance(chain, str) or type(n) is not int or not isinstance(sealed, str):
        raise BadLine("not an anchor")
    return Head(chain, n, sealed)
