"""Settings: four sources (flag, environment, `.env`, default) and one line for a bad value."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtdemo.errors import SettingError
from rtdemo.settings.settings import SETTINGS, Settings, load, reference


def test_defaults() -> None:
    """Without flag, variable or `.env` line, every setting has its default."""
    assert load({}, {}, Path("/nowhere")) == Settings()


def test_flag_over_environment_over_dotenv(tmp_path: Path) -> None:
    """A flag overrides the environment, which overrides `.env`, for each setting on its own."""
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=1\nWEBSOCKET_PORT=2\nLOG_LEVEL=error\n")
    environ = {"PORT": "11", "WEBSOCKET_PORT": "12"}
    settings = load({"port": "21"}, environ, dotenv)
    assert (settings.port, settings.websocket_port, settings.log_level) == (21, 12, "error")


def test_empty_variable_counts_as_not_given() -> None:
    """`PORT= python -m rtdemo` uses the default port."""
    assert load({}, {"PORT": ""}, Path("/nowhere")).port == 3000


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("RTDEMO_SINGLE_SITE", "1", "single_site", True),
        ("RTDEMO_SINGLE_SITE", "false", "single_site", False),
        ("RTDEMO_WITHOUT", "echo, status", "without", ("echo", "status")),
        ("RTDEMO_HEARTBEAT", "2.5", "heartbeat", 2.5),
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
    ],
)
def test_text_is_converted_to_the_type_of_the_setting(
    variable: str, text: str, field: str, value: object
) -> None:
    """A variable is text; its setting is a bool, a number, a tuple or a choice."""
    assert getattr(load({}, {variable: text}, Path("/nowhere")), field) == value


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({"port": "70000"}, {}, ["--port", "PORT", "70000", "0 to 65535"]),
        ({}, {"PORT": "abc"}, ["--port", "PORT", "abc", "whole number", "the environment"]),
        ({"heartbeat": "0"}, {}, ["--heartbeat", "RTDEMO_HEARTBEAT", "1 to 600"]),
        ({"log_format": "xml"}, {}, ["--log-format", "one of text, json"]),
        ({}, {"RTDEMO_SINGLE_SITE": "maybe"}, ["RTDEMO_SINGLE_SITE", "maybe", "1 or 0"]),
        (
            {"port": "4000", "websocket_port": "4000"},
            {},
            ["4000 from --websocket-port is", "--single-site"],
        ),
        ({"port": "3001"}, {}, ["--websocket-port", "3001 from its default is"]),
        ({}, {"RTDEMO_WORKERS": "2"}, ["--workers", "2 from the environment is"]),
        ({"allow_origin": "x"}, {}, ["'x' from --allow-origin is"]),
        (
            {"engine": "foo"},
            {},
            ["--engine", "REDIS_URL", "'foo'", "memory, redis://..., rediss://... or"],
        ),
        ({}, {"REDIS_URL": "http://u:s3cret@h"}, ["--engine", "'http://***@h'", "the environment"]),
        ({"engine": ":s3cret@h:6379"}, {}, ["'***@h:6379'"]),
        ({"engine": "redis:/h?password=s3cret"}, {}, ["'redis:/h'"]),
        ({"workers": "2", "engine": "redis://h", "engine_optional": "1"}, {}, ["--isolated-workers"]),
        (
            {"base_path": "rt"},
            {},
            ["RTDEMO_BASE_PATH", "'rt' from --base-path is", "a path such as /rt"],
        ),
        ({"base_path": "/a/../rt"}, {}, ["'/a/../rt'", "a path such as /rt"]),
        ({"base_path": "//rt"}, {}, ["a path such as /rt"]),
        ({"base_path": "/rt?x"}, {}, ["a path such as /rt"]),
        ({"base_path": "/api/rt"}, {}, ["that does not begin with one of the server's own", "api"]),
        ({"plugins_dir": "/nowhere"}, {}, ["--plugins-dir", "RTDEMO_PLUGINS_DIR", "/nowhere"]),
    ],
)
def test_bad_value_is_one_line(flags: dict[str, str], environ: dict[str, str], words: list[str]) -> None:
    """The error names the flag, the variable, the value and the allowed values, and hides passwords."""
    with pytest.raises(SettingError) as caught:
        load(flags, environ, Path("/nowhere"))
    line = str(caught.value)
    assert "\n" not in line
    assert [word for word in words if word not in line] == []
    assert "s3cret" not in line
    assert caught.value.exit_code == 2


def test_engine_is_optional_for_isolated_workers() -> None:
    """Isolated workers do not share a log, so each may keep its own without Redis."""
    given = {"workers": "2", "engine_optional": "1", "isolated_workers": "1", "engine": "redis://h"}
    assert load(given, {}, Path("/nowhere")).engine_optional


@pytest.mark.parametrize(
    "url", ["memory", "redis://h", "rediss://:p@h:1/0", "unix:///tmp/s", "REDIS://h"]
)
def test_engine_is_memory_or_the_url_of_a_redis(url: str) -> None:
    """The scheme of the URL may have capitals."""
    assert load({"engine": url}, {}, Path("/nowhere")).engine == url


def test_single_site_ignores_the_websocket_port() -> None:
    """With one site, both ports may be equal, because only one is opened."""
    settings = load(
        {"port": "4000", "websocket_port": "4000", "single_site": True}, {}, Path("/nowhere")
    )
    assert settings.single_site


@pytest.mark.parametrize(
    ("given", "used"),
    [("", ""), ("/", ""), ("/rt", "/rt"), ("/rt/", "/rt"), ("/a.b/~c-d_e", "/a.b/~c-d_e")],
)
def test_base_path_may_end_with_a_slash(given: str, used: str) -> None:
    """The setting in use has none."""
    assert load({"base_path": given}, {}, Path("/nowhere")).base_path == used


def test_production_disables_development_features() -> None:
    """--production overrides --lab and --reload, whichever source sets them."""
    given = {"lab": True, "reload": True}
    settings = load({**given, "production": True}, {"RTDEMO_LAB": "1"}, Path("/nowhere"))
    assert (settings.lab, settings.reload) == (False, False)
    assert (load(given, {}, Path("/nowhere")).lab, Settings().lab) == (True, False)


def test_reference_is_up_to_date() -> None:
    """docs/settings.md contains the table made from the declarations (`make docs` writes it)."""
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert reference() in text
    assert all(setting.variable in text for setting in SETTINGS.values())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://localhost?protocol=3", "'protocol' is not allowed in the query, only db"),
        ("redis://localhost?socket_timeout=1", "'socket_timeout'"),
        ("rediss://localhost?ssl_cert_reqs=none&decode_responses=false", "'decode_responses'"),
        ("redis://localhost?ssl_cert_reqs=none", "'ssl_cert_reqs'"),
        ("redis://localhost?foo", "'foo'"),
        ("redis://localhost/abc", "database is not a number"),
        ("redis://localhost/1/2", "database is not a number"),
        ("redis://localhost?db=x", "database is not a number"),
        ("redis://[::1", "host or port"),
        ("redis://localhost:99999", "host or port"),
        ("redis://localhost:0", "port 0"),
        ("redis://:s3cret#1@localhost", "host or port"),
        ("redis://s3cret#1@localhost", "%23"),
    ],
)
def test_redis_url_cannot_override_what_the_engine_relies_on(url: str, words: str) -> None:
    """The Redis client would prefer the URL to its arguments, so such a URL is refused."""
    with pytest.raises(SettingError) as caught:
        load({"engine": url}, {}, Path("/nowhere"))
    assert caught.value.exit_code == 2
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:s3cret@[::1]:6380/2",
        "redis://localhost/?db=3",
        "rediss://u:s3cret@localhost:6380/0?ssl_cert_reqs=none&ssl_ca_certs=/ca.pem",
        "unix:///run/redis.sock?db=1&password=s3cret",
    ],
)
def test_redis_url_may_name_host_database_credentials_and_tls_files(url: str) -> None:
    """Nothing in these URLs conflicts with the engine."""
    assert load({"engine": url}, {}, Path("/nowhere")).engine == url
