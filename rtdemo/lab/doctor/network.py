"""Reach the server: its name, its port, its certificate."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time

from rtdemo.errors import one_line
from rtdemo.lab.doctor.context import TIMEOUT, Path
from rtdemo.lab.doctor.errors import CannotRunError
from rtdemo.plugin_system.checks import Finding

WARNED = 21
"""Days before its end from which a certificate is warned of: renewal is late by then."""
PROTOCOLS = ("h2", "http/1.1")
_DAY = 86_400


async def name(path: Path) -> Finding:
    """Look the host's name up.

    Raises:
        CannotRunError: where it has no address.
    """
    host, port = path.address.host, path.address.port
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise CannotRunError(
            f"{host} has no address ({one_line(error)}); is it written right?"
        ) from error
    took = (time.perf_counter() - started) * 1000
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    if addresses == [host]:
        return Finding("ok", f"{host} is an address")
    return Finding("ok", f"{host} is {', '.join(addresses)} ({took:.1f} ms)")


async def port(path: Path) -> Finding:
    """Connect to the port.

    Raises:
        CannotRunError: where nothing answers.
    """
    where = path.address
    started = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT):
            _, writer = await asyncio.open_connection(where.host, where.port)
    except (OSError, TimeoutError) as error:
        why = one_line(error) if str(error) else f"nothing in {TIMEOUT:g} s"
        raise CannotRunError(
            f"{where.origin} cannot be reached ({why}); is the server running?"
        ) from error
    took = (time.perf_counter() - started) * 1000
    peer = writer.get_extra_info("peername")
    writer.close()
    return Finding("ok", f"connected to {peer[0]} port {peer[1]} in {took:.1f} ms")


async def tls(path: Path) -> Finding:
    """Shake hands, trust the certificate or not, and count its days.

    Raises:
        CannotRunError: where the port speaks no TLS.
    """
    try:
        secured = await _handshake(path, trusting=False)
    except ssl.SSLCertVerificationError as error:
        secured = await _handshake(path, trusting=True)
        path.trusted = False
        path.alpn = secured.selected_alpn_protocol() or ""
        is_old = "expired" in error.verify_message
        fix = path.fix("certificate" if is_old else "trust")
        return Finding("fail", f"{secured.version()}, but {error.verify_message}", fix)
    path.alpn = secured.selected_alpn_protocol() or ""
    certificate = secured.getpeercert() or {}
    days = (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - time.time()) / _DAY
    seen = f"{secured.version()}, trusted certificate with {days:.0f} days left"
    if days < WARNED:
        return Finding("warn", seen, path.fix("certificate"))
    return Finding("ok", seen)


async def speaks_tls(path: Path) -> bool:
    """Tell whether the port speaks TLS."""
    try:
        await _shake_hands(path, trusting=True)
    except (OSError, TimeoutError):
        return False
    return True


async def _handshake(path: Path, trusting: bool) -> ssl.SSLObject:
    try:
        return await _shake_hands(path, trusting)
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, TimeoutError) as error:
        where = path.address.origin
        plain = where.replace("https", "http", 1)
        raise CannotRunError(
            f"{where} fails at TLS ({one_line(error)}); if it speaks none, give {plain}"
        ) from error


async def _shake_hands(path: Path, trusting: bool) -> ssl.SSLObject:
    """Return the secured connection, closed already."""
    where = path.address
    context = ssl.create_default_context()
    context.set_alpn_protocols(list(PROTOCOLS))
    if trusting:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(where.host, where.port, ssl=context)
    secured: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return secured
