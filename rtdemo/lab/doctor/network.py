"""Check that the server can be reached: DNS, TCP and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from urllib.parse import SplitResult

from rtdemo.errors import NOT_RUNNING, network_reason
from rtdemo.lab.connect import ProxyError, connect, environment_proxy
from rtdemo.lab.doctor.context import CONNECT_TIMEOUT_S, Context, ok
from rtdemo.lab.doctor.errors import CannotRunError, Diagnosis
from rtdemo.lab.doctor.exchange import HTTP1, HTTP2

CERTIFICATE_WARNING_DAYS = 21
"""Days before a certificate expires from which a warning is printed: renewal is overdue by then."""
ALPN_PROTOCOLS = ("h2", "http/1.1")
"""Offered in the TLS handshake, as browsers do."""
_SECONDS_PER_DAY = 86_400
_NAME_ERRORS = (62, 63, 64)
"""OpenSSL's verify codes for a certificate of another host name, email or IP address."""
_EXPIRED = 10
"""OpenSSL's verify code for a certificate that has expired."""


async def dns(context: Context) -> Diagnosis:
    """Resolve the host name.

    Raises:
        CannotRunError: if it has no address.
    """
    proxy = _proxy(context)
    address = context.address
    host, port = (proxy.hostname or "", proxy.port or 80) if proxy else (address.host, address.port)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        reason = network_reason(error)
        raise CannotRunError(
            "no-address", f"{host} has no address ({reason})", "check the spelling"
        ) from error
    took = (time.perf_counter() - started) * 1000
    addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
    role = " (the proxy of the environment)" if proxy else ""
    if addresses == [host]:
        return ok(f"{host} is an IP address{role}")
    shown = ", ".join(addresses[:4]) + (f" and {len(addresses) - 4} more" if len(addresses) > 4 else "")
    return ok(f"{host} resolves to {shown} ({took:.1f} ms){role}", durationMs=round(took, 1))


def _proxy(context: Context) -> SplitResult | None:
    try:
        return environment_proxy(context.address)
    except ProxyError as error:
        raise CannotRunError("not-reachable", str(error), "set NO_PROXY to the server's name") from error


async def tcp(context: Context) -> Diagnosis:
    """Connect to the port.

    Raises:
        CannotRunError: if nothing accepts the connection.
    """
    address = context.address
    proxy = _proxy(context)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, _ = await connect(address, asyncio.Protocol, None)
    except (OSError, TimeoutError) as error:
        is_silent = isinstance(error, TimeoutError) and not error.errno
        reason = f"no answer in {CONNECT_TIMEOUT_S:g} s" if is_silent else network_reason(error)
        if isinstance(error, ProxyError):
            raise CannotRunError(
                "not-reachable", str(error), "check HTTP_PROXY and HTTPS_PROXY"
            ) from error
        advice = f"check that the server runs and that port {address.port} is open"
        if address.is_loopback:
            advice = NOT_RUNNING
        seen = f"{address.origin} cannot be reached ({reason})"
        raise CannotRunError("not-reachable", seen, advice) from error
    took = (time.perf_counter() - started) * 1000
    peer = transport.get_extra_info("peername")
    transport.abort()
    if proxy:
        seen = f"connected to {address.host} port {address.port} through the proxy {proxy.hostname}"
        return ok(f"{seen} (HTTP_PROXY or HTTPS_PROXY) in {took:.1f} ms", durationMs=round(took, 1))
    return ok(f"connected to {peer[0]} port {peer[1]} in {took:.1f} ms", durationMs=round(took, 1))


async def tls(context: Context) -> Diagnosis:
    """Do the TLS handshake, verify the certificate and count the days until it expires.

    Raises:
        CannotRunError: if the port does not use TLS.
    """
    try:
        connection = await _handshake(context)
    except ssl.SSLCertVerificationError as error:
        context.trusted = False
        connection = await _handshake(context)
        _note_versions(context, connection)
        return _judge_certificate(context, connection, error)
    _note_versions(context, connection)
    certificate = connection.getpeercert() or {}
    expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = (expires - time.time()) / _SECONDS_PER_DAY
    seen = f"{connection.version()}, trusted certificate with {days:.0f} days left"
    figures = {"daysLeft": round(days, 1)}
    if days < CERTIFICATE_WARNING_DAYS:
        context.certificate_symptom = "certificate expired"
        return Diagnosis("warn", seen, "", "certificate-soon", figures)
    return ok(seen, **figures)


def _note_versions(context: Context, connection: ssl.SSLObject) -> None:
    """Note the versions of HTTP that browsers may use: with h2 in ALPN, they use HTTP/2 for SSE."""
    context.versions = (HTTP1, HTTP2) if connection.selected_alpn_protocol() == "h2" else (HTTP1,)


def _judge_certificate(
    context: Context, connection: ssl.SSLObject, error: ssl.SSLCertVerificationError
) -> Diagnosis:
    seen = f"{connection.version()}, but {error.verify_message}"
    if error.verify_code in _NAME_ERRORS:
        kind = "name"
    else:
        kind = "expired" if error.verify_code == _EXPIRED else "untrusted"
    context.certificate_symptom = f"certificate {kind}"
    return Diagnosis("fail", seen, "", f"certificate-{kind}")


async def uses_tls(context: Context) -> bool:
    """Return whether the port uses TLS."""
    parameters = ssl.create_default_context()
    parameters.check_hostname = False
    parameters.verify_mode = ssl.CERT_NONE
    try:
        await _shake_hands(context, parameters)
    except (OSError, TimeoutError):
        return False
    return True


async def _handshake(context: Context) -> ssl.SSLObject:
    parameters = context.tls_parameters(*ALPN_PROTOCOLS)
    try:
        return await _shake_hands(context, parameters)
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        origin = context.address.origin
        plain = origin.replace("https", "http", 1)
        reason = network_reason(error)
        raise CannotRunError(
            "tls-failed",
            f"the TLS handshake with {origin} failed ({reason})",
            f"without TLS, give {plain}",
        ) from error


async def _shake_hands(context: Context, parameters: ssl.SSLContext | None) -> ssl.SSLObject:
    """Return the TLS object of a connection that is closed again."""
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        transport, _ = await connect(context.address, asyncio.Protocol, parameters)
    connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
    transport.abort()
    return connection
