"""Limits per connection, per client address and for all clients, with counters of what they refuse.

A limit has the name of its setting, and 0 switches it off. Limits per address exempt this machine
(`limited_address`). A check costs one look-up and one comparison; no limit has a timer.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from rtdemo.errors import OverLimit
from rtdemo.hub.connection import Connection, ConnectionRates
from rtdemo.hub.limited_address import limited_address
from rtdemo.settings import trusted_proxies
from rtdemo.settings.settings import SETTINGS, Settings
from rtdemo.timing.token_bucket import TokenBucket, TokenBuckets

log = logging.getLogger(__name__)

TEXT_BURST_S = 5.0
"""Seconds of texts at the full rate that a client may send at once; of broadcasts too."""
CONNECT_BURST_S = 25.0
"""Seconds of connects at the full rate that may come at once: a network reconnects after a restart."""
PUBLICATION_BURST_S = 10.0
"""Seconds of publications at the full rate that may come at once."""
REPLAY_BURST_S = 8.0
"""Seconds of missed messages at the full rate that are sent at once: four times a full log."""
TOKEN_BURST_S = 60.0
"""Seconds of wrong tokens at the full rate that may come at once."""
PUBLISH_TOKEN_FACTOR = 100.0
"""By how much the rate of publications is higher for holders of the publish token."""
MIN_PUBLICATION_BURST = 100.0
"""Publications that may come at once at any rate: as many as one request may have."""
FULL_RETRY_S = 5.0
"""Seconds after which a client may try again where a number of connections is the limit."""
LOG_PERIOD_S = 60.0
"""Seconds between two log lines about one limit, or about refused origins."""

_PROXY = "if that is your proxy, set --trusted-proxies"
_TRUSTED_PROXY = "if that is your proxy, let it set X-Forwarded-For or Forwarded, and drop the other"


class Limits:
    """Check each limit of the settings.

    Arguments:
        settings: the limits.
        time: returns seconds on a monotonic clock.
        refused: counts what a limit refuses, by the limit's name.

    Attributes:
        frames_per_heartbeat: frames without a text that a WebSocket may send between two heartbeats.
    """

    def __init__(self, settings: Settings, time: Callable[[], float], refused: Counter[str]) -> None:
        self._settings = settings
        self._time = time
        self._refused = refused
        self._exempts_loopback = not trusted_proxies.parse(settings.trusted_proxies)
        self._logged_at: dict[str, float] = {}
        # Connections that are open, by address.
        self._open: dict[str, int] = {}
        self._connects = _rates(settings.connects_per_address, CONNECT_BURST_S)
        rate = settings.publications_per_address
        self._publications = _rates(rate, PUBLICATION_BURST_S)
        self._token_publications = _rates(
            rate * PUBLISH_TOKEN_FACTOR, PUBLICATION_BURST_S, MIN_PUBLICATION_BURST
        )
        self._replays = _rates(settings.replay_bytes_per_address, REPLAY_BURST_S)
        self._failed_tokens = _rates(settings.failed_tokens_per_address / 60, TOKEN_BURST_S)
        frames = settings.control_frames_per_connection * settings.heartbeat
        self.frames_per_heartbeat = frames or math.inf

    def address(self, remote: str) -> str:
        """Return what limits per address take for a client; see `limited_address`."""
        return limited_address(remote, self._exempts_loopback)

    @property
    def addresses(self) -> Mapping[str, int]:
        """Number of open connections by address, as `limited_address` returns it."""
        return self._open

    def check_connect(self, remote: str, connections: int) -> None:
        """Check whether a client may connect.

        Arguments:
            remote: the client's address.
            connections: number of connections that are open.

        Raises:
            OverLimit: `connects_per_address`, or as from `check_room`.
        """
        address = limited_address(remote, self._exempts_loopback)
        self._check_room(address, connections)
        if address:
            self._take(self._connects, "connects_per_address", address, "connects")

    def check_room(self, remote: str, connections: int) -> None:
        """Check whether there is room for another connection.

        Arguments:
            remote: the client's address.
            connections: number of connections that are open.

        Raises:
            OverLimit: `max_connections` or `max_connections_per_address`.
        """
        self._check_room(limited_address(remote, self._exempts_loopback), connections)

    def _check_room(self, address: str, connections: int) -> None:
        most = self._settings.max_connections
        if most and connections >= most:
            raise self._over("max_connections", f"the server has {most} connections", FULL_RETRY_S)
        if not address:
            return
        most = self._settings.max_connections_per_address
        if most and self._open.get(address, 0) >= most:
            what = f"your address has {most} connections"
            raise self._over("max_connections_per_address", what, FULL_RETRY_S, address)

    def opened(self, remote: str) -> None:
        """Count a connection that is open now."""
        address = limited_address(remote, self._exempts_loopback)
        if address:
            self._open[address] = self._open.get(address, 0) + 1

    def closed(self, remote: str) -> None:
        """Count a connection that was open."""
        address = limited_address(remote, self._exempts_loopback)
        if address:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def check_http_connections(self, address: str, count: int) -> bool:
        """Return whether an address may have its HTTP connections; count and log it if not.

        Arguments:
            address: as `address` returns it.
            count: how many it has. Its streams are not among them.
        """
        most = self._settings.max_connections_per_address
        if not most or count <= most:
            return True
        self._refused["http_connections"] += 1
        self._report("max_connections_per_address", address)
        return False

    def check_text(self, connection: Connection) -> None:
        """Check whether a client may send a text now.

        Raises:
            OverLimit: `texts_per_connection`.
        """
        rate = self._settings.texts_per_connection
        if not rate:
            return
        rates = connection.rates
        if rates is None:
            rates = connection.rates = self._new_rates(rate)
        now = self._time()
        if not rates.texts.take(now):
            raise self._over_rate("texts_per_connection", "texts", rates.texts.wait(now))

    def add_texts(self, connection: Connection, texts: float) -> None:
        """Count texts of a client that `check_text` does not see: later ones are refused for them.

        Arguments:
            connection: of the client.
            texts: how many, also a fraction.
        """
        rate = self._settings.texts_per_connection
        if rate:
            if connection.rates is None:
                connection.rates = self._new_rates(rate)
            connection.rates.texts.reserve(self._time(), texts)

    def refuse_frames(self) -> OverLimit:
        """Return the error for a WebSocket that sends more than `frames_per_heartbeat`."""
        retry_after = self._settings.heartbeat
        return self._over_rate("control_frames_per_connection", "control frames", retry_after)

    def check_broadcast(self, connection: Connection, text: str) -> None:
        """Check whether a client may send a text to everyone now.

        Raises:
            OverLimit: `broadcast_bytes`, `broadcasts_per_connection` or `publications_per_address`.
            UnicodeEncodeError: the text has a lone surrogate.
        """
        most = self._settings.broadcast_bytes
        # As JSON, a control character takes six bytes of the log and of each outbox. A character has at
        # least one byte: a long text need not be encoded.
        if most and (len(text) > most or len(msgspec.json.encode(text)) - len('""') > most):
            raise self._over("broadcast_bytes", f"the text is over {most} bytes as JSON", 0.0)
        rate = self._settings.broadcasts_per_connection
        if rate:
            if connection.rates is None:
                connection.rates = self._new_rates(self._settings.texts_per_connection)
            bucket = connection.rates.broadcasts
            if bucket is None:
                bucket = connection.rates.broadcasts = _bucket(rate, TEXT_BURST_S)
            now = self._time()
            if not bucket.take(now):
                raise self._over_rate("broadcasts_per_connection", "texts to everyone", bucket.wait(now))
        self.check_publications(connection.client.remote, 1)

    def check_publications(self, remote: str, count: int, has_token: bool = False) -> None:
        """Check whether a client may publish messages now.

        Arguments:
            remote: the client's address.
            count: number of messages, at most 100.
            has_token: whether it has sent the publish token.

        Raises:
            OverLimit: `publications_per_address`.
        """
        address = self.address(remote)
        if address:
            rates = self._token_publications if has_token else self._publications
            factor = PUBLISH_TOKEN_FACTOR if has_token else 1.0
            self._take(rates, "publications_per_address", address, "publications", count, factor)

    def replay_wait(self, remote: str, size: int) -> float:
        """Take bytes of missed messages for a client; return the seconds after which to send them.

        Arguments:
            remote: the client's address.
            size: number of bytes.
        """
        address = self.address(remote)
        if not address or self._replays is None:
            return 0.0
        now = self._time()
        wait = self._replays.of(address, now).reserve(now, size)
        if wait > 0.0:
            self._count("replay_bytes_per_address", address)
        return wait

    def check_tokens(self, remote: str) -> None:
        """Check whether a client may send a token; after too many wrong ones, not even a valid one.

        Raises:
            OverLimit: `failed_tokens_per_address`.
        """
        address = self.address(remote)
        if address and self._failed_tokens is not None:
            now = self._time()
            wait = self._failed_tokens.of(address, now).wait(now)
            if wait > 0.0:
                what = "your address sent too many wrong tokens"
                raise self._over("failed_tokens_per_address", what, wait, address)

    def add_failed_token(self, remote: str) -> None:
        """Count a wrong token of a client."""
        address = self.address(remote)
        if address and self._failed_tokens is not None:
            now = self._time()
            self._failed_tokens.of(address, now).take(now)

    def remove_failed_token(self, remote: str) -> None:
        """Take back what `add_failed_token` has counted: the token was right."""
        address = self.address(remote)
        if address and self._failed_tokens is not None:
            self._failed_tokens.of(address, self._time()).put_back()

    def _new_rates(self, texts_per_s: float) -> ConnectionRates:
        return ConnectionRates(_bucket(texts_per_s or 1.0, TEXT_BURST_S))

    def _take(
        self,
        rates: TokenBuckets | None,
        limit: str,
        address: str,
        what: str,
        tokens: float = 1.0,
        factor: float = 1.0,
    ) -> None:
        if rates is None:
            return
        now = self._time()
        bucket = rates.of(address, now)
        if not bucket.take(now, tokens):
            wait = bucket.wait(now, tokens)
            raise self._over_rate(limit, f"{what} from your address", wait, address, factor)

    def _over_rate(
        self, limit: str, what: str, wait: float, address: str = "", factor: float = 1.0
    ) -> OverLimit:
        rate = getattr(self._settings, limit) * factor
        return self._over(limit, f"over {rate:g} {what} a second", wait, address)

    def _over(self, limit: str, what: str, wait: float, address: str = "") -> OverLimit:
        self._count(limit, address)
        do = f"try again in {math.ceil(wait)} s" if wait else "send less"
        return OverLimit(limit, f"{what} (limit {SETTINGS[limit].flag}); {do}", wait)

    def _count(self, limit: str, address: str) -> None:
        """Count a refusal, and log one a minute: the operator may have to raise the limit."""
        self._refused[limit] += 1
        self._report(limit, address)

    def _report(self, limit: str, address: str) -> None:
        if not self._may_log(limit):
            return
        if address:
            proxy = _PROXY if self._exempts_loopback else _TRUSTED_PROXY
            log.warning("%s: %s is over the limit; %s", SETTINGS[limit].flag, address, proxy)
        else:
            log.warning(
                "%s: over the limit, %d times so far", SETTINGS[limit].flag, self._refused[limit]
            )

    def report_origin(self, origin: str) -> None:
        """Log that a page is refused for its origin: its browser does not show the reason.

        Arguments:
            origin: as the browser sent it.
        """
        if self._may_log("allow_origin"):
            log.warning("a page of origin %r is refused; if it is yours, set --allow-origin", origin)

    def _may_log(self, subject: str) -> bool:
        """Return whether the last line about a setting was a minute ago, and note one."""
        now = self._time()
        if now - self._logged_at.get(subject, -math.inf) < LOG_PERIOD_S:
            return False
        self._logged_at[subject] = now
        return True


def _bucket(rate: float, burst_s: float) -> TokenBucket:
    return TokenBucket(rate, max(1.0, rate * burst_s))


def _rates(rate: float, burst_s: float, least: float = 1.0) -> TokenBuckets | None:
    """Return a bucket of a rate for each address; None for a rate of 0, which means no limit."""
    return TokenBuckets(rate, max(least, rate * burst_s)) if rate else None
