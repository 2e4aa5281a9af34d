"""What a line may say of a person and of where they are."""

from __future__ import annotations

import pytest

from broker.edge.audit.entries import hashed_agent, network


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("::ffff:192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("fe80::1%eth0", "fe80::"),
        ("canary", None),
        ("", None),
    ],
)
def test_an_address_is_cut_to_its_network(address, kept):
    assert network(address) == kept


def test_a_browser_s_name_is_hashed():
    assert len(hashed_agent("Mozilla/5.0")) == 16
    assert hashed_agent("Mozilla/5.0") != hashed_agent("Mozilla/5.1")
    assert hashed_agent("") is None
