"""Check that the server can be reached: DNS, TCP and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from rtdemo.errors import network_reason
from rtdemo.lab.doctor.context import RESPONSE_TIMEOUT_S, Context
from rtdemo.lab.doctor.errors import CannotRunError
from rtdemo.plugin_system.checks import Finding

CERTIFICATE_WARNING_DAYS = 21
"""Days before a certificate expires from which a warning is printed: renewal is overdue by then."""
ALPN_PROTOCOLS = ("h2", "http/1.1")
"""Offered in the TLS handshake, as browsers do."""
_SECONDS_PER_DAY = 86_400


async def dns(context: Context) -> Finding:
    """Resolve the host name.

    Raises:
        CannotRunError: if it has no address.
    """
    host, port = context.address.host, context.address.port
    started = time.perf_counter()
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        reason = network_reason(error)
        raise CannotRunError(f"{host} has no address ({reason}); check the spelling") from error
    took = (time.perf_counter() - started) * 1000
    addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
    if addresses == [host]:
        return Finding("ok", f"{host} is an IP address")
    return Finding("ok", f"{host} resolves to {', '.join(addresses)} ({took:.1f} ms)")


async def tcp(context: Context) -> Finding:
    """Connect to the port.

    Raises:
        CannotRunError: if nothing accepts the connection.
    """
    address = context.address
    started = time.perf_counter()
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError) as error:
        reason = network_reason(error) if str(error) else f"no answer in {RESPONSE_TIMEOUT_S:g} s"
        raise CannotRunError(
            f"{address.origin} cannot be reached ({reason}); is the server running?"
        ) from error
    took = (time.perf_counter() - started) * 1000
    peer = writer.get_extra_info("peername")
    writer.close()
    return Finding("ok", f"connected to {peer[0]} port {peer[1]} in {took:.1f} ms")


async def tls(context: Context) -> Finding:
    """Do the TLS handshake, verify the certificate and count the days until it expires.

    Raises:
        CannotRunError: if the port does not use TLS.
    """
    try:
        connection = await _handshake(context, verify=True)
    except ssl.SSLCertVerificationError as error:
        connection = await _handshake(context, verify=False)
        context.trusted = False
        context.alpn = connection.selected_alpn_protocol() or ""
        is_expired = "expired" in error.verify_message
        fix = context.fix("certificate" if is_expired else "trust")
        return Finding("fail", f"{connection.version()}, but {error.verify_message}", fix)
    context.alpn = connection.selected_alpn_protocol() or ""
    certificate = connection.getpeercert() or {}
    expires = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    days = (expires - time.time()) / _SECONDS_PER_DAY
    seen = f"{connection.version()}, trusted certificate with {days:.0f} days left"
    if days < CERTIFICATE_WARNING_DAYS:
        return Finding("warn", seen, context.fix("certificate"))
    return Finding("ok", seen)


async def uses_tls(context: Context) -> bool:
    """Return whether the port uses TLS."""
    try:
        await _shake_hands(context, verify=False)
    except (OSError, TimeoutError):
        return False
    return True


async def _handshake(context: Context, verify: bool) -> ssl.SSLObject:
    try:
        return await _shake_hands(context, verify)
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        origin = context.address.origin
        plain = origin.replace("https", "http", 1)
        reason = network_reason(error)
        raise CannotRunError(
            f"the TLS handshake with {origin} failed ({reason}); without TLS, give {plain}"
        ) from error


async def _shake_hands(context: Context, verify: bool) -> ssl.SSLObject:
    """Return the TLS object of a connection that is closed again."""
    address = context.address
    parameters = ssl.create_default_context()
    parameters.set_alpn_protocols(list(ALPN_PROTOCOLS))
    if not verify:
        parameters.check_hostname = False
        parameters.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(RESPONSE_TIMEOUT_S):
        _, writer = await asyncio.open_connection(address.host, address.port, ssl=parameters)
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return connection
