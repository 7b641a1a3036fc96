"""The fix is worded for the detected proxy."""

from __future__ import annotations

import pytest

from rtdemo.lab.doctor.fixes import FIXES, fix, recognise

PROXIES = ("nginx", "HAProxy", "Caddy", "Heroku", "Cloudflare")


OWN = [("Content-Security-Policy", "default-src 'none'"), ("X-Content-Type-Options", "nosniff")]
"""Headers as rtdemo writes them."""


@pytest.mark.parametrize(
    ("response_headers", "received_headers", "proxy"),
    [
        ([("Server", "nginx/1.22.1")], {}, "nginx"),
        ([("Server", "openresty")], {}, "nginx"),
        ([(name.lower(), value) for name, value in OWN], {}, "HAProxy"),
        (OWN, {"Host": "h"}, ""),
        ([("content-type", "text/plain")], {}, ""),
        ([("server", "uvicorn")], {}, ""),
        ([("Server", "Caddy"), *OWN], {}, "Caddy"),
        ([("Via", "1.1 Caddy")], {}, "Caddy"),
        ([("Server", "Heroku")], {}, "Heroku"),
        (OWN, {"Via": "1.1 vegur"}, "Heroku"),
        ([("Server", "cloudflare")], {}, "Cloudflare"),
        ([("Server", "nginx"), ("CF-RAY", "8f0")], {}, "Cloudflare"),
        ([], {}, ""),
    ],
)
def test_proxy_is_recognised(
    response_headers: list[tuple[str, str]], received_headers: dict[str, str], proxy: str
) -> None:
    """By what it writes into responses and requests; of several proxies, the outermost."""
    assert recognise(response_headers, received_headers) == proxy


@pytest.mark.parametrize("symptom", FIXES)
@pytest.mark.parametrize("proxy", [*PROXIES, ""])
def test_every_symptom_has_a_line(symptom: str, proxy: str) -> None:
    """The line names the detected proxy; if none was detected, nginx and HAProxy as examples."""
    line = fix(symptom, proxy, limit=60, lower=2, origin="http://h")
    assert "\n" not in line
    assert "%" not in line
    assert line.count("`") % 2 == 0
    named = {name for name in PROXIES if f"{name}: " in line}
    if proxy:
        assert named == ({proxy} if proxy in FIXES[symptom] else set())
    else:
        assert named == {"nginx", "HAProxy"} & set(FIXES[symptom])
