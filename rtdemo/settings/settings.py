"""Declare every setting once: its name, type, range, default and help.

Flags, environment variables, `.env` lines, `rtdemo serve --help` and docs/settings.md all come from
`Settings`. A flag overrides the environment, which overrides `.env`, which overrides the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from rtdemo.errors import DotenvError, SettingError
from rtdemo.settings import redis_url, trusted_proxies
from rtdemo.settings.field import Setting, about, describe

Port = Annotated[int, Meta(ge=0, le=65535)]
_BASE_PATH = re.compile(r"(/(?!\.\.?(/|$))[\w.~-]{1,100}){1,10}/?", re.ASCII)
_OWN_PATHS = ("api", "healthz", "metrics", "readyz", "static", "ws")
"""First parts of the server's own paths. Below one of them, a path without it could be meant with it."""
_EMBEDDER = re.compile(r"(?!file:)[a-z][a-z0-9+.-]*://[a-z0-9][a-z0-9._-]*(:[0-9]{1,5})?", re.ASCII)
"""An origin as a page's policy can name it: no IPv6 address (CSP Level 3 section 2.3.1), no pattern."""
_NO_HOST_NAME = re.compile(r"[/@*\s]|^[^:\[]*:\d*$")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of one server. `load` builds it; tests may build it directly."""

    host: Annotated[
        str, about("Address of the web site: page, SSE and API. Empty: every interface.", "HOST")
    ] = ""
    port: Annotated[Port, about("Port of the web site. 0: any free port.", "PORT")] = 3000
    websocket_host: Annotated[
        str,
        about("Address of the WebSocket site. Empty: every interface.", "WEBSOCKET_HOST"),
    ] = ""
    websocket_port: Annotated[
        Port, about("Port of the WebSocket site. 0: any free port.", "WEBSOCKET_PORT")
    ] = 3001
    single_site: Annotated[
        bool, about("Open only the web site. The page then uses /ws on its own origin.")
    ] = False
    base_path: Annotated[
        str,
        about(
            "Path below which a proxy has this server, such as /rt. The server answers with and without "
            "it, so the proxy may remove it or not."
        ),
    ] = ""
    tls_cert: Annotated[
        str,
        about(
            "File with the certificate and its chain, in PEM: both sites speak TLS. SIGHUP reloads it."
        ),
    ] = ""
    tls_key: Annotated[
        str, about("File with the private key of --tls-cert, in PEM, without a password.")
    ] = ""
    plugins_dir: Annotated[str, about("Folder with plugin files. Default: ./plugins if it exists.")] = ""
    without: Annotated[
        tuple[str, ...], about("Names of plugins to leave out, separated by commas.")
    ] = ()
    strict_plugins: Annotated[
        bool, about("Refuse to start if a plugin fails to load, instead of skipping the plugin.")
    ] = False
    allow_origin: Annotated[
        tuple[str, ...],
        about("Additional origins that may connect, such as https://example.org."),
    ] = ()
    allow_embed: Annotated[
        tuple[str, ...],
        about(
            "Origins whose pages may show /view in a frame, such as http://localhost:8888 of a "
            "notebook. Default: none."
        ),
    ] = ()
    allow_host: Annotated[
        tuple[str, ...],
        about(
            "Names that a request's Host may have, separated by commas. Default: on loopback the names "
            "of this machine, which are always allowed; on other addresses any name."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        about(
            "Proxies to trust: their number, or their addresses. The client's address is then the one "
            "that they report in X-Forwarded-For or Forwarded, and nobody counts as a local user."
        ),
    ] = ()
    workers: Annotated[
        int, Meta(ge=0, le=256), about("Number of worker processes. 0: one per CPU core.")
    ] = 1
    isolated_workers: Annotated[
        bool, about("Give each worker its own log, so that several workers need no Redis.")
    ] = False
    reload: Annotated[
        bool, about("Reload plugin files when they change, without closing connections.")
    ] = False
    lab: Annotated[
        bool, about("Let clients inject faults into their own connection: cut, stop, delay.")
    ] = False
    probes: Annotated[
        bool, about("Serve /api/probe/ and streams with ?probe=, which `rtdemo doctor` uses.")
    ] = True
    production: Annotated[
        bool,
        about(
            "Disable development features (--lab, --reload) and the rights of local users, overriding "
            "other settings."
        ),
    ] = False
    admin_token: Annotated[
        str,
        about(
            "Bearer token that permits administration. Without it, only local users may, and nobody "
            "with --production or --trusted-proxies. Other users of this machine see flags, but not "
            "variables."
        ),
    ] = ""
    publish_token: Annotated[
        str,
        about(
            "Bearer token that permits publishing. Without it, only local users may, and nobody with "
            "--production or --trusted-proxies. Other users of this machine see flags, but not "
            "variables."
        ),
    ] = ""
    public_stats: Annotated[
        bool,
        about(
            "Let every client read /metrics, /api/plugins and producers' errors. Without it, only local "
            "users and holders of the admin token may."
        ),
    ] = False
    secret: Annotated[
        str,
        about(
            "Secret that signs the users' login tokens (HS256), 32 bytes or more. Clients then need a "
            "token. Other users of this machine see flags, but not variables."
        ),
    ] = ""
    jwks: Annotated[
        str,
        about(
            "File with the public keys (JWKS) that verify login tokens: RS256, ES256 or EdDSA. Clients "
            "then need a token. It needs `pip install rtdemo[jwks]`."
        ),
    ] = ""
    audience: Annotated[
        str,
        about("Audience that login tokens must name. Without it, a token that names one is refused."),
    ] = ""
    require_login: Annotated[
        bool,
        about(
            "Refuse every client without a login, even if the plugin that authenticates cannot be "
            "loaded."
        ),
    ] = False
    publish_names: Annotated[
        tuple[str, ...],
        about("Producer names that clients may select before their first message is published."),
    ] = ()
    engine: Annotated[
        str,
        Meta(pattern=r"^(memory$|(?i:redis|rediss|unix)://)"),
        about(
            "Where shared messages are kept: memory, or redis://... for several servers.",
            "REDIS_URL",
            urls="memory, redis://..., rediss://... or unix://...",
        ),
    ] = "memory"
    engine_optional: Annotated[
        bool, about("Start with a log in this server's memory if the engine cannot be used.")
    ] = False
    redis_prefix: Annotated[
        str, about("Prefix of every key in Redis. Give each deployment on one Redis its own prefix.")
    ] = "rtdemo"
    history_count: Annotated[
        int,
        Meta(ge=1, le=1_000_000),
        about("Number of shared messages kept for reconnecting clients."),
    ] = 10_000
    history_bytes: Annotated[
        int,
        Meta(ge=1024, le=1 << 30),
        about("Bytes of shared messages kept for reconnecting clients."),
    ] = 16 * 1024 * 1024
    history_seconds: Annotated[
        float,
        Meta(ge=1, le=604_800),
        about("Seconds that a shared message is kept for reconnecting clients."),
    ] = 3600.0
    max_connections: Annotated[
        int,
        Meta(ge=0, le=10_000_000),
        about("Open streams and WebSockets that a worker accepts; further ones get 503. 0: no limit."),
    ] = 50_000
    max_connections_per_address: Annotated[
        int,
        Meta(ge=0, le=1_000_000),
        about(
            "Open streams and WebSockets of one client address; further ones get 429. 0: no limit. "
            "An address may have as many other HTTP connections; a further one closes its oldest idle "
            "one. Limits per address count IPv6 by /64, and each worker counts alone. They exempt "
            "loopback, except with --trusted-proxies. "
            "Behind a proxy set --trusted-proxies, or all its clients count as one address."
        ),
    ] = 500
    connects_per_address: Annotated[
        float,
        Meta(ge=0, le=100_000),
        about(
            "Connects a second of one client address, and 25 times as many at once; further ones get "
            "429. 0: no limit."
        ),
    ] = 20.0
    texts_per_connection: Annotated[
        float,
        Meta(ge=0, le=1_000_000),
        about(
            "Texts a second of one client, and five times as many at once. "
            "Beyond, a WebSocket is closed with 1008, and a POST gets 429. 0: no limit."
        ),
    ] = 20.0
    control_frames_per_connection: Annotated[
        float,
        Meta(ge=0, le=1_000_000),
        about(
            "Pings, pongs and fragments a second of one WebSocket, averaged over --heartbeat. "
            "Beyond, it is closed with 1008. 0: no limit."
        ),
    ] = 50.0
    broadcast_bytes: Annotated[
        int,
        Meta(ge=0, le=65_536),
        about("Largest text that a client may send to everyone (/all), in bytes as JSON. 0: no limit."),
    ] = 4096
    broadcasts_per_connection: Annotated[
        float,
        Meta(ge=0, le=100_000),
        about(
            "Texts a second that one client may send to everyone, and five times as many at once. "
            "0: no limit."
        ),
    ] = 1.0
    publications_per_address: Annotated[
        float,
        Meta(ge=0, le=1_000_000),
        about(
            "Messages a second that clients of one address may publish, by /all or POST, and ten times "
            "as many at once. With the publish token, 100 times as many, and at least 100 at once. "
            "0: no limit."
        ),
    ] = 10.0
    replay_bytes_per_address: Annotated[
        int,
        Meta(ge=0, le=1 << 40),
        about(
            "Bytes a second of missed messages for one client address, and eight times as many at once. "
            "Beyond, they are sent later. 0: no limit."
        ),
    ] = 8 * 1024 * 1024
    failed_tokens_per_address: Annotated[
        float,
        Meta(ge=0, le=1_000_000),
        about(
            "Wrong tokens a minute of one client address. Beyond, all its requests with a token get "
            "429. 0: no limit."
        ),
    ] = 10.0
    heartbeat: Annotated[
        float,
        Meta(ge=1, le=600),
        about(
            "Seconds between pings on each WebSocket. Many proxies close after 30 to 60 s. "
            "A silent event stream gets a comment after this time, and after 15 s at the latest."
        ),
    ] = 25.0
    compress: Annotated[
        bool,
        about(
            "Compress messages of 200 bytes and more over WebSocket (permessage-deflate). "
            "Event streams are never compressed."
        ),
    ] = False
    drain_seconds: Annotated[
        float,
        Meta(ge=0, le=25),
        about(
            "Seconds over which a server that stops spreads the ends of its connections. "
            "A second signal ends the rest at once."
        ),
    ] = 5.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        about(
            "Lowest level of the lines that are logged. Only debug includes message contents.",
            "LOG_LEVEL",
        ),
    ] = "info"
    log_format: Annotated[Literal["text", "json"], about("Format of the log lines.")] = "text"


def _all() -> dict[str, Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    return {f.name: describe(f, hints[f.name]) for f in msgspec.structs.fields(Settings)}


SETTINGS: Mapping[str, Setting] = _all()
"""Every setting by field name, in the order of declaration."""


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], dotenv: Path = Path(".env")
) -> Settings:
    """Build the settings from flags, environment and a `.env` file, the strongest first.

    Arguments:
        flags: values by field name. None means that the flag was not given.
        environ: environment variables. An empty one counts as not given.
        dotenv: a file of `NAME=value` lines. It need not exist.

    Raises:
        SettingError: for the first value that is not allowed.
        DotenvError: if the `.env` file cannot be read.
    """
    file = _read_dotenv(dotenv)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, setting in SETTINGS.items():
        if (given := flags.get(name)) is not None:
            source = setting.flag
        elif given := environ.get(setting.variable):
            source = "the environment"
        elif given := file.get(setting.variable):
            source = str(dotenv)
        else:
            continue
        values[name], sources[name] = setting.convert(given, source), source

    def refusal(name: str, value: object, allowed: str) -> SettingError:
        return SETTINGS[name].error(value, sources.get(name, "its default"), allowed)

    settings = Settings(**values)
    _check_combinations(settings, refusal)
    settings = msgspec.structs.replace(settings, base_path=settings.base_path.rstrip("/"))
    if settings.production:
        return msgspec.structs.replace(settings, lab=False, reload=False)
    return settings


def environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """Return the variables of this process and of a `.env` file; those of the process win.

    Raises:
        DotenvError: if the file cannot be read.
    """
    return _read_dotenv(dotenv) | dict(os.environ)


def _read_dotenv(dotenv: Path) -> dict[str, str]:
    """Return the variables that a `.env` file sets; an empty dict if there is no file.

    Raises:
        DotenvError: if the file cannot be read.
    """
    try:
        return {name: text for name, text in dotenv_values(dotenv).items() if text}
    except (OSError, UnicodeError) as error:
        raise DotenvError(dotenv, error) from error


_Refusal = Callable[[str, object, str], SettingError]
"""Returns the error for a setting's name, its value, and what is allowed."""
MIN_SECRET_BYTES = 32
"""Shortest secret for HS256 (RFC 7518 section 3.2)."""


def _check_combinations(settings: Settings, refusal: _Refusal) -> None:
    _check_login(settings, refusal)
    two_sites = not settings.single_site
    if two_sites and settings.port == settings.websocket_port != 0:
        allowed = f"a port other than the web site's {settings.port}, or --single-site"
        raise refusal("websocket_port", settings.websocket_port, allowed)
    if bool(settings.tls_cert) != bool(settings.tls_key):
        missing, given = ("tls_key", "tls_cert") if settings.tls_cert else ("tls_cert", "tls_key")
        allowed = f"a file, since {SETTINGS[given].flag} is given"
        raise refusal(missing, "", allowed)
    if settings.engine != "memory":
        _check_engine(settings.engine, refusal)
    if settings.workers != 1 and settings.engine == "memory" and not settings.isolated_workers:
        allowed = "1, or --engine redis://... for a log that all workers share, or --isolated-workers"
        raise refusal("workers", settings.workers, allowed)
    if settings.workers != 1 and settings.engine_optional and not settings.isolated_workers:
        allowed = "0 with several workers, which would not share one log, or --isolated-workers"
        raise refusal("engine_optional", "1", allowed)
    _check_names(settings, refusal)
    _check_base_path(settings.base_path, refusal)
    _check_trusted_proxies(settings.trusted_proxies, refusal)
    if settings.plugins_dir and not Path(settings.plugins_dir).is_dir():
        raise refusal("plugins_dir", settings.plugins_dir, "an existing folder")


def _check_trusted_proxies(values: tuple[str, ...], refusal: _Refusal) -> None:
    try:
        trusted_proxies.parse(values)
    except ValueError as error:
        allowed = f"the number of proxies, 0 to {trusted_proxies.MAX_HOPS}, or addresses like 10.0.0.0/8"
        raise refusal("trusted_proxies", ",".join(values), f"{allowed} ({error})") from error


def _check_base_path(path: str, refusal: _Refusal) -> None:
    if path.strip("/") and not _BASE_PATH.fullmatch(path):
        allowed = "a path such as /rt, of letters, digits and the characters . _ ~ - /"
        raise refusal("base_path", path, allowed)
    if path.strip("/").partition("/")[0] in _OWN_PATHS:
        names = ", ".join(_OWN_PATHS)
        allowed = f"a path that does not begin with one of the server's own: {names}"
        raise refusal("base_path", path, allowed)


def _check_names(settings: Settings, refusal: _Refusal) -> None:
    """Check the names of origins and hosts."""
    for origin in settings.allow_origin:
        parts = urlsplit(origin)
        if not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            allowed = "scheme://host or scheme://host:port, separated by commas"
            raise refusal("allow_origin", origin, allowed)
    for origin in settings.allow_embed:
        if not _EMBEDDER.fullmatch(origin):
            allowed = "an origin: scheme, name and port as in a page's address, http://localhost:8888"
            raise refusal("allow_embed", origin, allowed)
    for name in settings.allow_host:
        if _NO_HOST_NAME.search(name):
            allowed = "names without scheme and port, such as demo.example.org, separated by commas"
            raise refusal("allow_host", name, allowed)


def _check_login(settings: Settings, refusal: _Refusal) -> None:
    """Check the login settings; no error contains the secret."""
    if settings.secret and len(settings.secret.encode(errors="replace")) < MIN_SECRET_BYTES:
        allowed = f"{MIN_SECRET_BYTES} bytes or more, such as `openssl rand -hex 32` prints"
        raise refusal("secret", "(a shorter text)", allowed)
    if settings.secret and settings.jwks:
        allowed = "either a file of keys or --secret, not both"
        raise refusal("jwks", settings.jwks, allowed)


def _check_engine(url: str, refusal: _Refusal) -> None:
    try:
        redis_url.check(url)
    except ValueError as error:
        allowed = f"{SETTINGS['engine'].allowed} ({error})"
        raise refusal("engine", url, allowed) from error


def reference() -> str:
    """Return the table in docs/settings.md: one Markdown row per setting."""
    rows = ["| flag | variable | default | allowed values | meaning |", "|---|---|---|---|---|"]
    for setting in SETTINGS.values():
        default = "" if setting.default in ("", ()) else f"`{as_text(setting.default)}`"
        cells = (f"`{setting.flag}`", f"`{setting.variable}`", default, setting.allowed, setting.help)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def as_text(value: object) -> str:
    """Return a value as the documentation and the command line write it."""
    return str(int(value)) if isinstance(value, bool) else str(value)
