"""Who may publish, administer, and read details: holders of a token, else users of this machine."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11

from rtdemo.errors import Refused
from rtdemo.settings import trusted_proxies
from rtdemo.settings.settings import Settings
from rtdemo.web.admission import check_origin
from rtdemo.web.app_keys import SETTINGS
from rtdemo.web.bearer import CHALLENGE, INVALID_TOKEN, bearer_token, has_token
from rtdemo.web.forwarding import unusual_header
from rtdemo.web.host import host_name, is_loopback
from rtdemo.web.http_connection import HttpConnection
from rtdemo.web.limits import add_failed_token, check_tokens
from rtdemo.web.login import LOGIN
from rtdemo.web.peer_user import is_of_other_user

_Problem = Callable[[web.Request], str]


def start_line(settings: Settings) -> str:
    """Return what to print at the start about rights without a token; empty if both tokens are set."""
    tokens = {"publish": settings.publish_token, "admin": settings.admin_token}
    missing = [kind for kind, token in tokens.items() if not token]
    if not missing:
        return ""
    if closed := _closed_by(settings):
        flags = " and ".join(f"--{kind}-token" for kind in missing)
        return f"rtdemo: refused         {', '.join(missing)}: {closed} is set without {flags}"
    return (
        f"rtdemo: local users     may do without a token: {', '.join(missing)}; "
        "behind a proxy, set --production"
    )


def check_publisher(request: web.Request) -> None:
    """Admit those who may publish.

    Raises:
        Refused: as by `check_token`.
    """
    check_token(request, "publish", request.app[SETTINGS].publish_token)


def check_admin(request: web.Request) -> None:
    """Admit administrators only.

    Raises:
        Refused: as by `check_token`.
    """
    check_token(request, "admin", request.app[SETTINGS].admin_token)


def check_token(request: web.Request, kind: str, token: str) -> None:
    """Admit the holder of a token; where no token is set, local users.

    Arguments:
        kind: which setting `--KIND-token` has the token.
        token: the value of that setting; empty where it is not set.

    Raises:
        Refused: 401 without the token where one is set; 403 for others than local users where none is,
            and for a page of a foreign origin; 429 with Retry-After after too many wrong tokens from the
            client's address.
    """
    check_origin(request)
    if token:
        check_tokens(request)
        if not has_token(request, token):
            if hdrs.AUTHORIZATION in request.headers:
                add_failed_token(request)
            raise _without_token(request, kind, f"send the {kind} token as Authorization: Bearer")
    elif why := not_local_because(request):
        fix = f"start the server with --{kind}-token, and send that token"
        raise Refused(403, f"this is for local users, but {why}; {fix}")


def _without_token(request: web.Request, kind: str, missing: str) -> Refused:
    """Return the refusal of a request without the right token.

    Arguments:
        request: the request.
        kind: which setting `--KIND-token` has the token.
        missing: what to do if the request has no token at all.
    """
    if bearer_token(request) is None:
        return Refused(401, missing, CHALLENGE)
    wrong = f"this is not the {kind} token; send that of the server's --{kind}-token"
    return Refused(401, wrong, INVALID_TOKEN)


async def check_details(request: web.Request) -> None:
    """Admit those who may read details: paths, errors, metrics.

    Raises:
        Refused: 401 without the admin token where one is set; 403 where none is.
    """
    if await may_read_details(request):
        return
    if request.app[SETTINGS].admin_token:
        ways = "send the admin token as Authorization: Bearer, or start the server with --public-stats"
        raise _without_token(request, "admin", f"this is for administrators: {ways}")
    ways = "start the server with --admin-token or --public-stats"
    raise Refused(403, f"this is for local users, but {not_local_because(request)}; {ways}")


async def may_read_details(request: web.Request, token_is_checked: bool = False) -> bool:
    """Return whether a request may read details: with the admin token, from a local user, or all may.

    Arguments:
        request: the request.
        token_is_checked: whether `reader` has compared its token: it is not the administrators'.

    Raises:
        Refused: 429 with Retry-After after too many wrong tokens from the client's address.
    """
    settings = request.app[SETTINGS]
    if settings.public_stats:
        return True
    if settings.admin_token and bearer_token(request) is not None and not token_is_checked:
        check_tokens(request)
        if has_token(request, settings.admin_token):
            return True
        await request.app[LOGIN].count_if_wrong(request)
    return not not_local_because(request)


def not_local_because(request: web.Request) -> str:
    """Return why a request is not a local user's, as the end of a sentence; empty if it is.

    A local user is a program or a person on this machine. A proxy on this machine connects from
    loopback too, so a request that looks in any way like a proxy's is not local. Some proxies leave no
    trace: they send HTTP/1.1, no header of their own, and a local Host, which the client chose (HAProxy
    without `option forwardfor`) or the proxy sets (nginx from 1.29.7 by default). Linux reports that
    another user runs them. If root or the server's own user runs such a proxy, it looks like any other
    program of this user: `--production` must be set.
    """
    for found in _PROBLEMS:
        if why := found(request):
            return why
    return ""


def _closed_by(settings: Settings) -> str:
    """Return the flag by which nobody is a local user; empty without one."""
    if settings.production:
        return "--production"
    return "--trusted-proxies" if trusted_proxies.parse(settings.trusted_proxies) else ""


def _is_closed(request: web.Request) -> str:
    closed = _closed_by(request.app[SETTINGS])
    return f"{closed} is set" if closed else ""


def _is_from_elsewhere(request: web.Request) -> str:
    return "" if is_loopback(request.remote or "") else "the request is from another machine"


def _is_old_http(request: web.Request) -> str:
    # nginx speaks HTTP/1.0 to its servers unless proxy_http_version is set.
    is_usual = request.version == HttpVersion11
    return "" if is_usual else "the request is not HTTP/1.1; a proxy may have sent it"


def _is_forwarded(request: web.Request) -> str:
    name = unusual_header(request)
    return f"the request has the header {name!r}, which a proxy may have added" if name else ""


def _is_for_proxy(request: web.Request) -> str:
    # A target that is a whole URL is the form for proxies (RFC 9112 section 3.2.2).
    is_path = request.raw_path.startswith("/")
    return "" if is_path else "the request's target is a whole URL, the form for proxies"


def _has_foreign_host(request: web.Request) -> str:
    local = is_loopback(host_name(request))
    return "" if local else "the request's Host is not a name of this machine"


def _is_of_other_user(request: web.Request) -> str:
    connection = request.protocol
    if isinstance(connection, HttpConnection):
        other = connection.is_of_other_user
    else:
        other = is_of_other_user(request.transport)
    return "another user of this machine runs the program that sent the request" if other else ""


_PROBLEMS: tuple[_Problem, ...] = (
    _is_closed,
    _is_from_elsewhere,
    _is_old_http,
    _is_forwarded,
    _is_for_proxy,
    _has_foreign_host,
    _is_of_other_user,
)
