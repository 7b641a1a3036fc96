"""The client's address: right behind trusted proxies, and not to be forged by a header."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from rtdemo.errors import SettingError
from rtdemo.settings.settings import Settings, load
from rtdemo.web.app_keys import SETTINGS
from rtdemo.web.client_address import client_address

FORGED = "6.6.6.6"
CLIENT = "203.0.113.7"


def seen(trusted: str, peer: str, *headers: tuple[str, str]) -> str:
    """Return the address that the server takes for the client's."""
    app = web.Application()
    app[SETTINGS] = Settings(trusted_proxies=tuple(filter(None, trusted.split(","))))
    request = make_mocked_request("GET", "/", CIMultiDict(headers), app=app)
    return client_address(request.clone(remote=peer))


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP"])
def test_address_cannot_be_forged_without_trusted_proxies(name: str) -> None:
    """No header changes the address of a client while no proxy is trusted."""
    value = f"for={FORGED}" if name == "Forwarded" else FORGED
    assert seen("", CLIENT, (name, value)) == CLIENT
    assert seen("0", CLIENT, (name, value)) == CLIENT
    assert seen("10.0.0.0/8", CLIENT, (name, value)) == CLIENT


@pytest.mark.parametrize(
    ("trusted", "value"),
    [
        ("1", CLIENT),
        ("1", f"{FORGED}, {CLIENT}"),
        ("2", f"{FORGED}, {CLIENT}, 10.0.0.2"),
        # The request did not come through the outer proxy, which the inner one does not hide.
        ("3", f"{CLIENT}, 10.0.0.2"),
        ("10.0.0.0/8", f"{FORGED},{CLIENT},10.0.0.2"),
        ("10.0.0.1,10.0.0.2", f"10.0.0.9, {CLIENT}, 10.0.0.2"),
        ("10.0.0.0/8,2001:db8::/32", f"{FORGED}, {CLIENT}, 2001:db8::5"),
        ("::ffff:10.0.0.0/104", f"{FORGED}, {CLIENT}"),
        ("1", f"{CLIENT}:4711"),
        ("1", f"::ffff:{CLIENT}"),
        ("1", f"[::ffff:{CLIENT}]:4711"),
        ("1", f"{FORGED}, , {CLIENT} "),
    ],
)
def test_address_is_the_one_that_the_outermost_trusted_proxy_reports(trusted: str, value: str) -> None:
    """Trusted proxies append on the right; what stands further left is the client's own text."""
    assert seen(trusted, "10.0.0.1", ("X-Forwarded-For", value)) == CLIENT


def test_headers_that_were_added_separately_are_one_list() -> None:
    """HAProxy adds a header of its own after the client's."""
    headers = [("X-Forwarded-For", FORGED), ("X-Forwarded-For", CLIENT)]
    assert seen("1", "::ffff:10.0.0.1", *headers) == CLIENT


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("2001:DB8:0::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", "10.0.0.1"),
        ("", "10.0.0.1"),
        ("1" * 5000, "10.0.0.1"),
        ("10.0.0.2," * 5000, "10.0.0.1"),
    ],
)
def test_what_is_no_address_leaves_that_of_the_proxy(value: str, address: str) -> None:
    """Each address has one form; a text that is none is not taken over."""
    assert seen("1", "10.0.0.1", ("X-Forwarded-For", value)) == address


def test_chain_of_trusted_addresses_is_read_for_sixteen_hops() -> None:
    """A client cannot make the server parse thousands of addresses."""
    chain = ",".join(f"10.0.{n // 250}.{n % 250}" for n in range(5000))
    assert seen("10.0.0.0/8", "10.0.0.1", ("X-Forwarded-For", chain)) == "10.0.19.234"


@pytest.mark.parametrize(
    ("trusted", "value", "address"),
    [
        ("1", f"for={CLIENT}", CLIENT),
        ("1", f"for={FORGED}, for={CLIENT};proto=https;by=10.0.0.1", CLIENT),
        ("1", f'For="{CLIENT}:4711"', CLIENT),
        ("1", 'by=10.0.0.1; for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("2", f"for={FORGED}, for={CLIENT}, for=10.0.0.2", CLIENT),
        # The proxy repeats a Host that the client chose.
        ("1", f'host="x;for={FORGED}";for={CLIENT}', CLIENT),
        ("1", f'for={CLIENT};host="x, for={FORGED}"', CLIENT),
        # The client opens a quotation that would hide what the proxy appends.
        ("1", f'for="{FORGED}, for={CLIENT}', "10.0.0.1"),
        ("1", f"for={FORGED}, for=_hidden", "10.0.0.1"),
        ("1", "for=" + "1" * 5000, "10.0.0.1"),
        ("1", ";" * 4000, "10.0.0.1"),
    ],
)
def test_forwarded_is_read_as_a_whole_or_not_at_all(trusted: str, value: str, address: str) -> None:
    """`Forwarded` (RFC 7239) is read as a whole, or not at all."""
    assert seen(trusted, "10.0.0.1", ("Forwarded", value)) == address


def test_client_cannot_choose_which_of_two_headers_counts() -> None:
    """A proxy that writes one header passes the client's other one on: then the peer's counts."""
    for forged, real in (("Forwarded", "X-Forwarded-For"), ("X-Forwarded-For", "Forwarded")):
        values = {
            "Forwarded": f"for={FORGED if forged == 'Forwarded' else CLIENT}",
            "X-Forwarded-For": FORGED if forged == "X-Forwarded-For" else CLIENT,
        }
        assert seen("1", "10.0.0.1", *values.items()) == "10.0.0.1", real
    both = [("Forwarded", f"for={CLIENT}"), ("X-Forwarded-For", CLIENT)]
    assert seen("1", "10.0.0.1", *both) == CLIENT


@pytest.mark.parametrize("value", ["17", "-1", "a.example", "10.0.0.0/33", "1,10.0.0.1", "10.0.0.1:80"])
def test_value_that_names_no_proxies_is_refused(value: str) -> None:
    """The line names the setting and both forms of its value."""
    with pytest.raises(SettingError, match=r"--trusted-proxies.*0 to 16, or addresses"):
        load({"trusted_proxies": value}, {})
