"""What the reader takes for Bicep, and what it does not."""

from __future__ import annotations

import pytest

from tests.bicep.project import parsed, sources
from tests.bicep.reader import read
from tests.bicep.tokens import NotBicep
from tests.bicep.tree import Call, Literal, Loop, Operation, Text


def value_of(expression):
    (declaration,) = read(f"var it = {expression}\n", "it.bicep").declarations
    return declaration.body


def test_every_file_parses():
    assert parsed().keys() == sources().keys()
    assert len(sources()) >= 18


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("var a = {\n  b: 1\n", "wanted a value"),
        ("var a = [\n  1 2\n]\n", "wanted the end of the line"),
        ("var a = 'b\n", "a string has no end"),
        ("var a = 'b${c\n", "} is missing"),
        ("var a = b(\n", "wanted a value"),
        ("var a = 1 var b = 2\n", "wanted the end of the line"),
        ("param a strng\n", "wanted a type"),
        ("resource a 'b@c' {\n}\n", "wanted ="),
        ("var a = #\n", "cannot read"),
        ("typo a = 1\n", "wanted a declaration"),
    ],
)
def test_what_is_no_bicep_is_refused_with_its_place(wrong, complaint):
    with pytest.raises(NotBicep, match=rf"it\.bicep: line \d+: .*{complaint}"):
        read(wrong, "it.bicep")


def test_a_file_cut_off_anywhere_in_a_resource_is_refused():
    text = sources()["modules/page.bicep"]
    end = text.index("output name")
    for at in range(text.index("= {") + 3, text.rindex("}", 0, end)):
        with pytest.raises(NotBicep):
            read(text[:at], "page.bicep")


def test_expressions_are_read_as_they_bind():
    assert value_of("a ? b : c") == Operation("?", (value_of("a"), value_of("b"), value_of("c")))
    assert value_of("a == 1 && !b").sign == "&&"
    assert isinstance(value_of("'x-${a.b}-y'"), Text)
    assert value_of("'it\\'s'") == Literal("it's")
    assert value_of("'''\nraw ${x}\n'''") == Literal("raw ${x}\n")
    assert isinstance(value_of("map(a, b => b.c)"), Call)
    assert value_of("[for (a, i) in b: a]") == Loop(("a", "i"), value_of("b"), value_of("a"))
