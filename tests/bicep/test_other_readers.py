"""Other people's readers of Bicep read the files too: what ours forgives by mistake, they may not.

Neither knows parameter files. What those say of values they are asked as the variables of a module; that
``using`` and ``param NAME = …`` stand as they must, only our own reader has looked at, and the compiler will.
"""

from __future__ import annotations

import re
from functools import cache

import pytest
import tree_sitter_bicep
from lark.exceptions import LarkError
from pycep import BicepParser
from tree_sitter import Language, Parser

from tests.bicep.project import ENVIRONMENTS, sources


def as_module(path: str, text: str) -> str:
    """A module as it is; of a parameter file, its values as variables."""
    if path.endswith(".bicep"):
        return text
    return re.sub(r"^param (\w+) =", r"var \1 =", re.sub(r"^using .*$", "", text, flags=re.M), flags=re.M)


@cache
def tree_sitter() -> Parser:
    return Parser(Language(tree_sitter_bicep.language()))


@cache
def pycep() -> BicepParser:
    return BicepParser(cache=False)


def by_tree_sitter(text: str) -> bool:
    return not tree_sitter().parse(text.encode()).root_node.has_error


def by_pycep(text: str) -> bool:
    try:
        pycep().parse(text=text)
    except (LarkError, ValueError):
        return False
    return True


EACH = pytest.mark.parametrize("is_read", [by_tree_sitter, by_pycep])


@EACH
def test_every_file_is_read(is_read):
    assert [path for path, text in sources().items() if not is_read(as_module(path, text))] == []
    assert len(sources()) > len(ENVIRONMENTS) + 1


@EACH
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("main.bicep", "param image string", "param image = string"),
        ("modules/page.bicep", "  sku: {", "  sku: "),
        ("modules/app.bicep", "'Microsoft.App/containerApps@2024-03-01' =", "'Microsoft.App/containerApps'"),
        ("modules/vault.bicep", "for ", "fur "),
        ("env/test.bicepparam", "readEnvironmentVariable('IMAGE')", "readEnvironmentVariable('IMAGE'"),
        ("env/test.bicepparam", "param entraTenants = [", "param entraTenants = {"),
    ],
)
def test_a_file_that_is_broken_is_not_read(is_read, path, old, new):
    assert old in sources()[path]
    assert not is_read(as_module(path, sources()[path].replace(old, new, 1)))
