"""The fix is worded for the detected proxies."""

from __future__ import annotations

import pytest

from rtdemo.lab.doctor.fixes import FIXES, OF_SERVER, fix

PROXIES = (
    *("nginx", "HAProxy", "Caddy", "Apache", "Envoy", "Varnish", "h2o", "nghttpx", "lighttpd", "squid"),
    *("Heroku", "Cloudflare", "AWS load balancer", "Google load balancer"),
)
FIGURES: dict[str, float | str] = {
    "limit": 60,
    "lower": 2,
    "origin": "http://h",
    "host": "h",
    "path": "/api/",
}


@pytest.mark.parametrize("proxy", [*PROXIES, ""])
def test_every_symptom_has_a_line(proxy: str) -> None:
    """The line names the detected proxy; without one, it names none and has no directive of any."""
    assert len(FIXES) > 20
    for symptom in FIXES:
        line = fix(symptom, [proxy] if proxy else [], **FIGURES)
        assert "\n" not in line, symptom
        assert "%" not in line, symptom
        assert line.count("`") % 2 == 0, symptom
        named = {name for name in PROXIES if f"{name}: " in line}
        assert named <= {proxy}, symptom
        assert bool(named) == bool(proxy) or symptom in OF_SERVER, symptom
        if not proxy:
            assert line == FIXES[symptom][""] % FIGURES, symptom


def test_fix_for_several_proxies_says_which_are_possible() -> None:
    """Each may be the cause, so none gets its directive alone."""
    line = fix("held", ["nginx", "Caddy"])
    assert line == (
        "in the proxy that causes it (nginx or Caddy; --via finds it): nginx: `proxy_buffering off;`; "
        "Caddy: `flush_interval -1`"
    )


def test_unknown_proxy_beside_a_known_one_gets_the_general_rule() -> None:
    """It may be the cause too."""
    line = fix("held", ["nginx", "Traefik"])
    assert "configure the proxy to forward text/event-stream without buffering; nginx: `" in line
