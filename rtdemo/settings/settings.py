"""Declare every setting once: its name, type, range, default and help.

Flags, environment variables, `.env` lines, `rtdemo serve --help` and docs/settings.md are all read
off `Settings`. A flag wins over the environment, the environment over `.env`, `.env` over the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints
from urllib.parse import urlsplit

import msgspec
from dotenv import dotenv_values
from msgspec import Meta

from rtdemo.errors import DotenvError
from rtdemo.settings import redis_url
from rtdemo.settings.field import Setting, about, describe

Port = Annotated[int, Meta(ge=0, le=65535)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hold what a server is started with; built by `load`, or directly in tests."""

    host: Annotated[
        str, about("Address of the web site: page, SSE, API. Empty: every interface.", "HOST")
    ] = ""
    port: Annotated[Port, about("Port of the web site. 0 takes a free one.", "PORT")] = 3000
    websocket_host: Annotated[
        str,
        about("Address of the WebSocket site. Empty: every interface.", "WEBSOCKET_HOST"),
    ] = ""
    websocket_port: Annotated[
        Port, about("Port of the WebSocket site. 0 takes a free one.", "WEBSOCKET_PORT")
    ] = 3001
    single_site: Annotated[
        bool, about("Open only the web site; the page then uses /ws on its own origin.")
    ] = False
    plugins_dir: Annotated[
        str, about("Folder with plugin files. Default: ./plugins where it exists.")
    ] = ""
    without: Annotated[
        tuple[str, ...], about("Leave out the plugins of these names, separated by commas.")
    ] = ()
    strict_plugins: Annotated[
        bool, about("Refuse to start when a plugin fails to load, instead of skipping it.")
    ] = False
    allow_origin: Annotated[
        tuple[str, ...],
        about("Further origins whose pages may connect, such as https://example.org."),
    ] = ()
    workers: Annotated[int, Meta(ge=0, le=256), about("Processes that serve; 0 is one a core.")] = 1
    isolated_workers: Annotated[
        bool, about("Let each of several workers have a log of its own, without Redis.")
    ] = False
    reload: Annotated[
        bool, about("Load plugin files anew as they change, without dropping a connection.")
    ] = False
    lab: Annotated[
        bool, about("Let clients break their own connection for a try: cut, stop, delay.")
    ] = False
    probes: Annotated[bool, about("Answer `rtdemo doctor` under /api/probe/.")] = True
    production: Annotated[
        bool, about("Switch off what is for trying things, whatever else is set: --lab, --reload.")
    ] = False
    admin_token: Annotated[
        str,
        about("Token that lets `Authorization: Bearer` administer; without one only this machine may."),
    ] = ""
    publish_token: Annotated[
        str,
        about("Token that lets `Authorization: Bearer` publish; without one only this machine may."),
    ] = ""
    publish_names: Annotated[
        tuple[str, ...],
        about("Names that clients may pick before anything is published under them."),
    ] = ()
    engine: Annotated[
        str,
        Meta(pattern=r"^(memory$|(?i:redis|rediss|unix)://)"),
        about(
            "Keeper of the log: memory, or redis://... for several servers.",
            "REDIS_URL",
            urls="memory, redis://..., rediss://... or unix://...",
        ),
    ] = "memory"
    engine_optional: Annotated[
        bool, about("Start with a log of this server's own where the engine cannot be used.")
    ] = False
    redis_prefix: Annotated[
        str, about("Begins every key in Redis; two deployments on one Redis need two.")
    ] = "rtdemo"
    history_count: Annotated[
        int, Meta(ge=1, le=1_000_000), about("Shared messages that are kept for those who come back.")
    ] = 10_000
    history_bytes: Annotated[
        int, Meta(ge=1024, le=1 << 30), about("Bytes of shared messages that are kept.")
    ] = 16 * 1024 * 1024
    history_seconds: Annotated[
        float, Meta(ge=1, le=604_800), about("Seconds for which shared messages are kept.")
    ] = 3600.0
    heartbeat: Annotated[
        float,
        Meta(ge=1, le=600),
        about("Seconds between pings on an idle connection. Proxies often cut at 30 to 60."),
    ] = 25.0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        about("Least severe log line to write; message contents only at debug.", "LOG_LEVEL"),
    ] = "info"
    log_format: Annotated[Literal["text", "json"], about("Form of a log line.")] = "text"


def _all() -> dict[str, Setting]:
    hints = get_type_hints(Settings, include_extras=True)
    return {f.name: describe(f, hints[f.name]) for f in msgspec.structs.fields(Settings)}


SETTINGS: Mapping[str, Setting] = _all()


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], dotenv: Path = Path(".env")
) -> Settings:
    """Build the settings from flags, environment and a `.env` file, in this order of strength.

    Arguments:
        flags: by field name; None means that the flag was not given.
        environ: environment variables; an empty one counts as not given.
        dotenv: a file of `NAME=value` lines; it need not exist.

    Raises:
        SettingError: for the first value that is not allowed.
    """
    file = read_dotenv(dotenv)
    values: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        if (given := flags.get(name)) is not None:
            values[name] = setting.convert(given, setting.flag)
        elif given := environ.get(setting.variable):
            values[name] = setting.convert(given, "the environment")
        elif given := file.get(setting.variable):
            values[name] = setting.convert(given, str(dotenv))
    settings = Settings(**values)
    _check_together(settings)
    if settings.production:
        return msgspec.structs.replace(settings, lab=False, reload=False)
    return settings


def environment(dotenv: Path = Path(".env")) -> dict[str, str]:
    """Return the environment's variables over those of a `.env` file."""
    return read_dotenv(dotenv) | dict(os.environ)


def read_dotenv(dotenv: Path) -> dict[str, str]:
    """Return the lines of a `.env` file that give a value; none where there is no file.

    Raises:
        DotenvError: when it cannot be read.
    """
    try:
        return {name: text for name, text in dotenv_values(dotenv).items() if text}
    except (OSError, UnicodeError) as error:
        raise DotenvError(dotenv, error) from error


def _check_together(settings: Settings) -> None:
    two_sites = not settings.single_site
    if two_sites and settings.port == settings.websocket_port != 0:
        allowed = f"a port other than the web site's {settings.port}, or --single-site"
        raise SETTINGS["websocket_port"].error(settings.websocket_port, "the settings", allowed)
    if settings.engine != "memory":
        _check_engine(settings.engine)
    if settings.workers != 1 and settings.engine == "memory" and not settings.isolated_workers:
        allowed = "1, or --engine redis://... for a log that all share, or --isolated-workers"
        raise SETTINGS["workers"].error(settings.workers, "the settings", allowed)
    if settings.workers != 1 and settings.engine_optional and not settings.isolated_workers:
        allowed = "0 with several workers, who would not share one log, or --isolated-workers"
        raise SETTINGS["engine_optional"].error("1", "the settings", allowed)
    for origin in settings.allow_origin:
        parts = urlsplit(origin)
        if not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
            allowed = "scheme://host or scheme://host:port, separated by commas"
            raise SETTINGS["allow_origin"].error(origin, "the settings", allowed)
    if settings.plugins_dir and not Path(settings.plugins_dir).is_dir():
        raise SETTINGS["plugins_dir"].error(settings.plugins_dir, "the settings", "a folder that exists")


def _check_engine(url: str) -> None:
    setting = SETTINGS["engine"]
    try:
        redis_url.check(url)
    except ValueError as error:
        raise setting.error(url, "the settings", f"{setting.allowed} ({error})") from error


def reference() -> str:
    """Return the table of docs/settings.md, in Markdown."""
    rows = ["| flag | variable | default | allowed | what |", "|---|---|---|---|---|"]
    for setting in SETTINGS.values():
        default = "" if setting.default in ("", ()) else f"`{_plain(setting.default)}`"
        cells = (f"`{setting.flag}`", f"`{setting.variable}`", default, setting.allowed, setting.help)
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
