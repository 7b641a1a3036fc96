"""Let only users that have logged in connect and read: by a token, by a ticket, or as a plugin decides.

By default login is off: everyone may connect, and no client has a user name. It is on

- with `--secret` or `--jwks`: a request needs a token (`tokens.py`) as `Authorization: Bearer`;
- with a plugin that implements `authenticate`: the plugin decides, and tokens have no effect;
- with `--require-login`: even if none of these can admit anyone.

Browsers send no header with an EventSource or a WebSocket. Their URL has a ticket instead, which
`POST /api/ticket` returns to users that have logged in. It works once, unlike a token. This server logs
neither.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from aiohttp import hdrs, web

from rtdemo.errors import Refused, Unavailable
from rtdemo.hub.hub import Hub
from rtdemo.timing.token_bucket import TokenBuckets
from rtdemo.web.admission import RETRY_SOON, TICKET, check_origin, shutting_down
from rtdemo.web.app_keys import SETTINGS
from rtdemo.web.bearer import CHALLENGE, INVALID_TOKEN, bearer_token, has_token
from rtdemo.web.identity import NOBODY, Identity, TokenError
from rtdemo.web.limits import add_failed_token, check_tokens, remove_failed_token
from rtdemo.web.other_workers import is_from_other_worker
from rtdemo.web.tickets import Tickets

if TYPE_CHECKING:
    # It loads the library for signatures, which only a server with login needs.
    from rtdemo.web.tokens import TokenVerifier

TICKETS_PER_S, TICKET_BURST = 5.0, 100.0
"""Tickets that a user gets each second in the long run, and at once; each is for one connection."""
MAX_RECENT_TOKENS = 10_000
"""Tokens that are known to be no guesses of the administrators' token any more."""
_USER_HEADER = "X-Rtdemo-User"
"""Header by which a worker names the user of a request that it passes on to another worker."""


class RecentTokens:
    """Remember which tokens were compared, as digests that nobody can turn back."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._digests: dict[bytes, None] = {}

    def add(self, token: str) -> bool:
        """Remember a token; return whether it is new."""
        digest = blake2b(token.encode(errors="surrogateescape"), digest_size=16, key=self._key).digest()
        is_new = digest not in self._digests
        self._digests.pop(digest, None)
        self._digests[digest] = None
        if len(self._digests) > MAX_RECENT_TOKENS:
            del self._digests[next(iter(self._digests))]
        return is_new


class Login:
    """Decide who a request is from.

    Arguments:
        hub: has the plugins, and counts what the limit of tickets refuses.
        verifier: verifies tokens; None without a key.
        tickets: makes and takes tickets.
        required: whether login is on in any case.
    """

    def __init__(
        self, hub: Hub, verifier: TokenVerifier | None, tickets: Tickets, required: bool = False
    ) -> None:
        self._hub = hub
        self._verifier = verifier
        self._tickets = tickets
        self._is_on = required or verifier is not None
        self._issued = TokenBuckets(TICKETS_PER_S, TICKET_BURST)
        self._guesses = RecentTokens()
        # Of the requests that wait for a plugin.
        self._deadlines: set[asyncio.Timeout] = set()

    @property
    def is_on(self) -> bool:
        """Whether requests need a login. It stays on after a plugin that switched it on is removed."""
        if not self._is_on and self._hub.plugins.hooks.authenticates:
            self._is_on = True
        return self._is_on

    async def authenticate(self, request: web.Request) -> Identity:
        """Return who sends a request, by its headers.

        Raises:
            Refused: 401 without a valid token; 429 with Retry-After after too many wrong ones from the
                client's address; or as a plugin decides.
        """
        shows_token = bearer_token(request) is not None
        if shows_token:
            check_tokens(request)
        try:
            return await self._identify(request)
        except Refused as refused:
            # Also with 403, as where nobody can log in: it may be a guess of the administrators' token.
            if shows_token and refused.status in (401, 403):
                add_failed_token(request)
            raise

    async def authenticate_guess(self, request: web.Request) -> Identity:
        """Return who sends a request whose token was compared with the administrators', and is another.

        The token counts as wrong until it has logged a user in: a plugin may wait, and the right one of
        many guesses would not wait with them. The same token is no second guess: a proxy that logs users
        in may add it to each request.

        Arguments:
            request: `check_tokens` has admitted it since the last `await`.

        Raises:
            Refused: 401 without a valid token; or as a plugin decides.
        """
        if self.is_on and not self._guesses.add(bearer_token(request) or ""):
            return await self.authenticate(request)
        add_failed_token(request)
        if not self.is_on:
            return NOBODY
        identity = await self._identify(request, is_counted=True)
        if await self._is_login_token(request, identity):
            remove_failed_token(request)
        return identity

    async def _is_login_token(self, request: web.Request, identity: Identity) -> bool:
        """Return whether a request's token has logged its user in, not a cookie or something else."""
        if not self._hub.plugins.hooks.authenticates:
            return True
        headers = request.headers.copy()
        del headers[hdrs.AUTHORIZATION]
        try:
            return await self._ask_plugins(request.clone(headers=headers)) != identity.user
        except Refused:
            return True

    async def _identify(self, request: web.Request, is_counted: bool = False) -> Identity:
        if self._hub.plugins.hooks.authenticates:
            user = await self._ask_plugins(request)
            if not is_counted and bearer_token(request) is not None:
                # A plugin may wait: other wrong tokens of the address may have been counted meanwhile.
                check_tokens(request)
            if user is None:
                raise Refused(401, "log in: no plugin recognises a user by this request", CHALLENGE)
            return Identity(user)
        if self._verifier is None:
            raise Refused(403, "nobody can log in: set --secret or --jwks, or load a plugin for it")
        token = bearer_token(request)
        if token is None:
            raise Refused(401, "log in: send a token as Authorization: Bearer", CHALLENGE)
        try:
            return self._verifier.verify(token)
        except TokenError as error:
            raise Refused(401, str(error), INVALID_TOKEN) from None

    async def _ask_plugins(self, request: web.Request) -> str | None:
        """Return the user that a plugin recognises; None if none does.

        Raises:
            Refused: 503 with Retry-After if the server stops first; or as a plugin decides.
        """
        try:
            async with asyncio.timeout(None) as deadline:
                self._deadlines.add(deadline)
                try:
                    return await self._hub.plugins.hooks.authenticate(request)
                finally:
                    self._deadlines.discard(deadline)
        except TimeoutError:
            raise shutting_down() from None

    def stop(self) -> None:
        """Refuse the requests that still wait for a plugin: their connections are about to be cut."""
        for deadline in self._deadlines:
            deadline.reschedule(0.0)

    async def count_if_wrong(self, request: web.Request) -> None:
        """Count a request's token as wrong, unless it logs a user in.

        Arguments:
            request: as `authenticate_guess` takes it.
        """
        with suppress(Refused):
            await self.authenticate_guess(request)

    async def take(self, ticket: str) -> Identity:
        """Return who a ticket was issued to.

        Raises:
            Refused: 401 for a ticket that was used, has expired or never existed; 503 without the
                engine.
        """
        try:
            identity = await self._tickets.take(ticket)
        except Unavailable:
            raise Refused(503, "login tickets are unavailable; try again", RETRY_SOON) from None
        if identity is None:
            raise Refused(
                401, "the ticket is not valid, or was used; get a new one from /api/ticket", CHALLENGE
            )
        if identity.expires is not None and identity.expires <= time.time():
            raise Refused(401, "the token has expired; get a new one", INVALID_TOKEN)
        return identity

    async def issue(self, identity: Identity) -> str:
        """Return a new ticket.

        Raises:
            Refused: 429 for a user that asks too often; 503 without the engine.
        """
        now = self._hub.schedule.clock.time()
        bucket = self._issued.of(identity.user or "", now)
        if not bucket.take(now):
            self._hub.refused["tickets"] += 1
            later = {"Retry-After": str(int(bucket.wait(now)) + 1)}
            raise Refused(429, "too many tickets for one user; try again later", later)
        try:
            return await self._tickets.issue(identity)
        except Unavailable:
            raise Refused(503, "login tickets are unavailable; try again", RETRY_SOON) from None


LOGIN = web.AppKey("LOGIN", Login)


def setup(app: web.Application, login: Login) -> None:
    """Add the route to the application."""
    app[LOGIN] = login
    app.router.add_post("/api/ticket", ticket)


async def ticket(request: web.Request) -> web.Response:
    """Answer `POST /api/ticket` with `{"ticket": "..."}`: it opens one connection within 30 s.

    Raises:
        Refused: 401, 403 for a foreign origin, 404 where login is off, 429, 503.
    """
    check_origin(request)
    login = request.app[LOGIN]
    if not login.is_on:
        raise Refused(404, "login is off: connect without a ticket")
    issued = await login.issue(await login.authenticate(request))
    return web.json_response({"ticket": issued}, headers={hdrs.CACHE_CONTROL: "no-store"})


async def identify(request: web.Request) -> Identity:
    """Return who opens a connection or lists the producers: by the ticket in the query, else by headers.

    Raises:
        Refused: 401 or 503, or as a plugin decides.
    """
    login = request.app[LOGIN]
    if not login.is_on:
        return NOBODY
    # HEAD opens nothing, so it must not use up a ticket (RFC 9110 section 9.2.1); it needs a token.
    given = request.query.get(TICKET) if request.method != hdrs.METH_HEAD else None
    # First the ticket: browsers behind a proxy with a password send its Authorization with everything.
    return await login.take(given) if given is not None else await login.authenticate(request)


async def authenticate(request: web.Request) -> Identity:
    """Return who sends a request that opens no connection.

    A request from another worker names the user: that worker has authenticated it.

    Raises:
        Refused: 401, or as a plugin decides.
    """
    if is_from_other_worker(request):
        user = request.headers.get(_USER_HEADER)
        return Identity(None if user is None else unquote(user))
    login = request.app[LOGIN]
    return await login.authenticate(request) if login.is_on else NOBODY


async def reader(request: web.Request) -> Identity | None:
    """Return who reads the API; None for an administrator or another worker, which see everything.

    Raises:
        Refused: 401, or as a plugin decides; 429 with Retry-After after too many wrong tokens from the
            client's address.
    """
    if is_from_other_worker(request):
        return None
    admin_token = request.app[SETTINGS].admin_token
    if not admin_token or bearer_token(request) is None:
        return await authenticate(request)
    # Before the comparison: else guesses would go on, since only the right one is answered by 200.
    check_tokens(request)
    if has_token(request, admin_token):
        return None
    return await request.app[LOGIN].authenticate_guess(request)


def user_header(user: str | None) -> dict[str, str]:
    """Return the header by which a worker names the user of a request that it passes on."""
    return {} if user is None else {_USER_HEADER: quote(user)}
