"""Which addresses count as one client, and which ones limits exempt."""

from __future__ import annotations

import pytest

from rtdemo.hub.limited_address import limited_address


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
    assert limited_address(remote, exempts_loopback=True) == address


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "unix"])
def test_address_that_limits_exempt(remote: str) -> None:
    """Clients of this machine are exempt."""
    assert limited_address(remote, exempts_loopback=True) == ""
