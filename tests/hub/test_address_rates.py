"""Which addresses count as one client, and how many of them a table keeps."""

from __future__ import annotations

import pytest

from rtdemo.hub import address_rates
from rtdemo.hub.address_rates import AddressRates, limited_address


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_address_that_is_one_client(remote: str, address: str) -> None:
    """IPv4 counts as a whole, also if mapped to IPv6; IPv6 counts by its network of 64 bits."""
    assert limited_address(remote) == address


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "unix"])
def test_address_that_limits_exempt(remote: str) -> None:
    """Clients of this machine are exempt."""
    assert limited_address(remote) == ""


def test_full_buckets_are_dropped() -> None:
    """An address that did nothing for a while takes no memory."""
    rates = AddressRates(rate=1.0, burst=2.0)
    for number in range(100):
        rates.of(f"a{number}", 0.0).take(0.0)
    assert len(rates) == 100
    rates.of("b", 2.0)
    assert len(rates) == 1


def test_many_addresses_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table is bounded. The address that was seen longest ago is dropped, no other."""
    monkeypatch.setattr(address_rates, "MAX_ADDRESSES", 10)
    rates = AddressRates(rate=1.0, burst=1.0)
    for number in range(10):
        assert rates.of(f"a{number}", 0.0).take(0.0)
    assert not rates.of("a0", 0.0).take(0.0)
    assert rates.of("new", 0.0).take(0.0)
    assert len(rates) == 10
    assert not rates.of("a0", 0.0).take(0.0), "it was seen lately"
    assert rates.of("a1", 0.0).take(0.0), "it was seen longest ago, and is dropped"
