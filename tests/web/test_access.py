"""Who is a local user, what only administrators and local users may do, and that both fail closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from rtdemo.server.server import Server
from rtdemo.settings.settings import Settings
from rtdemo.web.access import start_line
from tests.clients import eventually
from tests.conftest import Connect, Start
from tests.faults.test_attacks import raw_request

HEADERS = {
    "standards": ("Forwarded", "Via", "Max-Forwards", "CDN-Loop", "Client-Cert", "Proxy-Connection"),
    "X-Forwarded": ("X-Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
    "X-Forwarded, rarer": (
        "X-Forwarded-Port",
        "X-Forwarded-Server",
        "X-Forwarded-By",
        "X-Forwarded-Ssl",
    ),
    "X-Forwarded, odd": (
        "Forwarded-For",
        "X_Forwarded_For",
        "X-Original-Forwarded-For",
        "X-Forward-For",
    ),
    "nginx": ("X-Real-IP", "X-Real-Port", "X-Request-ID", "X-Scheme", "X-Accel-Internal", "Remote-Addr"),
    "HAProxy": ("X-Unique-ID", "X-Client-IP", "X-SSL", "X-SSL-Client-Verify", "SSL-Client-Cert"),
    "Apache": ("X-Forwarded-Server", "Client-IP", "X-Client-IP", "X-ProxyUser-Ip", "WL-Proxy-Client-IP"),
    "Envoy": ("X-Envoy-External-Address", "X-Envoy-Original-Path", "X-Forwarded-Client-Cert"),
    "Caddy and Traefik": ("X-Forwarded-Prefix", "X-Forwarded-Tls-Client-Cert", "X-Real-Ip"),
    "Varnish and Squid": ("X-Varnish", "X-Cache", "X-Cluster-Client-Ip"),
    "Cloudflare": ("CF-Connecting-IP", "CF-Ray", "CF-Visitor", "CF-IPCountry", "True-Client-IP"),
    "Fastly and Akamai": ("Fastly-Client-IP", "Fastly-FF", "Akamai-Origin-Hop", "X-Akamai-Edgescape"),
    "AWS": ("X-Amzn-Trace-Id", "X-Amzn-Oidc-Data", "X-Amz-Cf-Id", "CloudFront-Viewer-Address"),
    "Google": ("X-AppEngine-User-IP", "X-Cloud-Trace-Context", "X-Client-Geo-Location"),
    "Azure": ("X-Azure-ClientIP", "X-Azure-FDID", "X-ARR-SSL", "X-Original-URL", "X-Original-Host"),
    "Fly and Heroku": ("Fly-Client-IP", "Fly-Forwarded-Port", "X-Request-Start", "X-Request-Id"),
    "hosting": ("X-Vercel-Id", "X-Nf-Client-Connection-Ip", "X-Railway-Edge", "Rndr-Id"),
    "other networks": ("DO-Connecting-IP", "Ali-Cdn-Real-Ip", "Incap-Client-IP", "Tailscale-User-Login"),
    "never heard of": ("X-Api-Key", "Foo", "L5d-Client-Id", "X" * 2000, "Hostx", "Dates"),
    "TLS that ends in a proxy": ("Front-End-Https", "X-Url-Scheme", "X-Client-Cert", "TLS-Client-Cert"),
}
OWN_OF_BROWSERS = {
    "Accept": "*/*",
    "Accept-Language": "en",
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Cookie": "a=b",
    "DNT": "1",
    "Priority": "u=1, i",
    "Referer": "http://localhost/",
    "TE": "trailers",
    "Sec-Ch-Ua": '"x";v="1"',
    "Sec-Fetch-Mode": "cors",
    "Sec-GPC": "1",
    "X-Requested-With": "Fetch",
    "Upgrade-Insecure-Requests": "1",
    "Traceparent": "00-0-0-00",
    "Idempotency-Key": "1",
}
PRIVILEGED = [
    ("POST", "/api/publish", 200),
    ("POST", "/api/producers/message/enable", 200),
    ("GET", "/metrics", 200),
    ("GET", "/api/plugins", 200),
]


async def ask(
    server: Server, method: str, path: str, headers: dict[str, str] | None = None
) -> httpx.Response:
    body = {"message": "x"} if method == "POST" else None
    async with httpx.AsyncClient(base_url=server.web_url) as http:
        return await http.request(method, path, json=body, headers=headers)


def is_refusal(answer: httpx.Response, status: int, *words: str) -> bool:
    """Return whether an answer is a refusal in one line that has some words."""
    one_line = answer.text.count("\n") == 1 and answer.text.endswith("\n")
    return answer.status_code == status and one_line and all(word in answer.text for word in words)


@pytest.mark.parametrize(("method", "path", "status"), PRIVILEGED)
async def test_program_on_this_machine_is_a_local_user(
    server: Server, method: str, path: str, status: int
) -> None:
    """A request as curl, a library or a browser on this machine sends it needs no token."""
    assert (await ask(server, method, path)).status_code == status
    assert (await ask(server, method, path, OWN_OF_BROWSERS)).status_code == status


@pytest.mark.parametrize("proxy", HEADERS)
async def test_header_of_any_proxy_ends_local_rights(server: Server, proxy: str) -> None:
    """The 403 names the header, and no request with one publishes, administers or reads details."""
    for name in HEADERS[proxy]:
        for method, path, _ in PRIVILEGED:
            answer = await ask(server, method, path, {name: "127.0.0.1"})
            assert is_refusal(answer, 403, "has the header", "-token"), (path, answer.text)
            assert name[:40].lower() in answer.text.lower()


@pytest.mark.parametrize(("method", "path", "_status"), PRIVILEGED)
async def test_http_1_0_is_not_local(server: Server, method: str, path: str, _status: int) -> None:
    """Nginx before 1.29.7 speaks HTTP/1.0 to its servers, and adds no header."""
    port = int(server.web_url.rpartition(":")[2])
    body = '{"message": "x"}' if method == "POST" else ""
    head = f"Host: localhost\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    answer = await raw_request(port, f"{method} {path} HTTP/1.0\r\n{head}")
    assert " 403 " in answer.partition("\r\n")[0]
    assert "not HTTP/1.1" in answer


async def test_request_in_the_form_for_proxies_is_not_local(server: Server) -> None:
    """A whole URL as the target is what a client sends to a proxy."""
    port = int(server.web_url.rpartition(":")[2])
    answer = await raw_request(port, "GET http://localhost/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert " 403 " in answer.partition("\r\n")[0]
    assert "form for proxies" in answer


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example"])
async def test_foreign_host_is_not_local_on_any_site(start: Start, host: str) -> None:
    """A site on every interface serves any name, but gives no rights to it."""
    server = await start(host="", websocket_host="")
    for method, path, _ in PRIVILEGED:
        assert is_refusal(await ask(server, method, path, {"Host": host}), 403, "Host is not a name")


@pytest.mark.parametrize("settings", [{"production": True}, {"trusted_proxies": ("1",)}])
@pytest.mark.parametrize(("method", "path", "status"), PRIVILEGED)
async def test_production_without_tokens_refuses_with_the_reason(
    start: Start, settings: dict[str, Any], method: str, path: str, status: int
) -> None:
    """The line names what is set and what to set; with the token the same request succeeds."""
    server = await start(**settings)
    flag = "--" + next(iter(settings)).replace("_", "-")
    kind = "publish" if path == "/api/publish" else "admin"
    assert is_refusal(await ask(server, method, path), 403, f"{flag} is set", f"--{kind}-token")
    guarded = await start(**settings, publish_token="p", admin_token="a")
    assert is_refusal(await ask(guarded, method, path), 401, f"{kind} token")
    right = {"Authorization": f"Bearer {kind[0]}"}
    assert (await ask(guarded, method, path, right)).status_code == status


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"production": True}, "refused         publish, admin: --production is set without --pu"),
        ({"production": True, "admin_token": "a"}, "refused         publish: --production"),
        (
            {"trusted_proxies": ("1",)},
            "--trusted-proxies is set without --publish-token and --admin-token",
        ),
        ({}, "behind a proxy, set --production"),
    ],
)
def test_start_says_what_is_possible_without_a_token(settings: dict[str, Any], words: str) -> None:
    """One line at the start, with the flags to set; none where both tokens are set."""
    assert words in start_line(Settings(**settings))
    assert start_line(Settings(**settings | {"admin_token": "a", "publish_token": "p"})) == ""


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("Bearer s3cret", 200),
        ("bEaReR s3cret", 200),
        ("BEARER   s3cret ", 200),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic s3cret", 401),
        ("s3cret", 401),
        ("Bearer s3cret x", 401),
        ("Bearer \xc3\xa9", 401),
        ("B\xc3\xa9arer s3cret", 401),
        # Bytes that are not UTF-8 are refused in any header.
        ("Bearer \xff\xfe", 400),
        ("\xed\xa0\x80 s3cret", 400),
        ("Bearer s3cret\r\nAuthorization: Bearer s3cret", 401),
    ],
)
async def test_odd_authorization_is_401_and_never_500(
    start: Start, value: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The scheme's case is free; bytes that are no text, and two headers, are no token."""
    server = await start(admin_token="s3cret")
    port = int(server.web_url.rpartition(":")[2])
    sent = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}\r\n"
    answer = await raw_request(port, sent + ("\r\n" if status == 200 else "Via: 1.1 x\r\n\r\n"))
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert not [record for record in caplog.records if record.exc_info]


async def test_token_that_is_not_ascii(start: Start) -> None:
    """A token of any characters is compared as UTF-8."""
    server = await start(admin_token="schlüssel", production=True)
    port = int(server.web_url.rpartition(":")[2])
    token = "schlüssel".encode().decode("latin-1")
    sent = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    assert (await raw_request(port, sent)).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["/metrics", "/api/plugins"])
async def test_strangers_read_details_only_where_these_are_public(start: Start, path: str) -> None:
    """The refusal names both ways; --public-stats opens them, and they stay open to local users."""
    stranger = {"X-Forwarded-For": "10.0.0.1"}
    server = await start()
    assert is_refusal(await ask(server, "GET", path, stranger), 403, "--admin-token", "--public-stats")
    guarded = await start(admin_token="s3cret")
    refused = await ask(guarded, "GET", path, stranger)
    assert is_refusal(refused, 401, "admin token", "--public-stats")
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    assert (await ask(guarded, "GET", path)).status_code == 200
    assert (await ask(await start(public_stats=True), "GET", path, stranger)).status_code == 200


async def test_strangers_do_not_read_what_a_producer_raised(
    start: Start, connect: Connect, tmp_path: Path
) -> None:
    """Errors may have paths and data; the list of producers itself is public: the page needs it."""
    plugin = tmp_path / "failing.py"
    plugin.write_text(
        "from rtdemo import producer\n"
        "@producer\ndef failing():\n    raise OSError('/home/someone/secret.csv')\n"
    )
    server = await start(files=(plugin,))
    await connect(server, "sse")
    await eventually(lambda: any(s.failures for s in server.plugins.registry.find("failing")))
    seen = await ask(server, "GET", "/api/producers", {"Via": "1.1 x"})
    assert "secret.csv" not in seen.text
    assert [p["lastError"] for p in seen.json() if p["name"] == "failing"] == [None]
    assert "secret.csv" in (await ask(server, "GET", "/api/producers")).text


async def test_page_asks_for_details_only_where_its_reader_may_have_them(start: Start) -> None:
    """The page of a stranger makes no request that would be refused every 2 s."""
    server = await start()
    assert 'data-details="yes"' in (await ask(server, "GET", "/")).text
    assert 'data-details="no"' in (await ask(server, "GET", "/", {"Via": "1.1 x"})).text
    assert json.loads((await ask(server, "GET", "/api/stats", {"Via": "1.1 x"})).text)["workers"] == 1
