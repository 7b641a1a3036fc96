"""TLS of the sites: the certificate from two files, read again on SIGHUP."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from rtdemo.errors import SettingError, one_line
from rtdemo.settings.settings import SETTINGS, Settings

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 10.0
"""Seconds for a client to finish the TLS handshake, as for the head of a request; the loop has 60."""
CLOSE_TIMEOUT_S = 2.0
"""Seconds for a client to answer the alert that closes TLS (RFC 8446 section 6.1)."""


class Certificate:
    """The certificate in use, and the TLS context that presents it to each new connection.

    Arguments:
        settings: `tls_cert` and `tls_key` name the files.

    Attributes:
        context: for the listening sockets. It stays the same when the certificate changes.

    Raises:
        SettingError: if a file cannot be read, or the key is not that of the certificate.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.context = self._current = _load(settings)
        # OpenSSL calls it in each handshake, also for clients that send no name.
        self.context.sni_callback = self._present

    def reload(self) -> None:
        """Read both files again. Open connections stay; a file with an error changes nothing."""
        try:
            self._current = _load(self._settings)
        except SettingError as error:
            log.error("%s; the previous certificate stays in use", error)  # noqa: TRY400 - one line
        else:
            log.info("new connections get the certificate in %s", self._settings.tls_cert)

    def _present(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        connection.context = self._current


def _load(settings: Settings) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later with the certificate that the files hold now."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation, which only TLS 1.2 has, costs a server much more than a client.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    # Python's own errors name neither file.
    for name in ("tls_cert", "tls_key"):
        try:
            Path(getattr(settings, name)).read_bytes()
        except OSError as error:
            raise _error(settings, name, f"a file that can be read ({one_line(error)})") from error
    try:
        # Any certificate, also for a purpose other than ours: OpenSSL reports only that one of two files
        # is wrong.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(settings.tls_cert)
    except ssl.SSLError as error:
        raise _error(settings, "tls_cert", "a file with a certificate in PEM") from error
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, _no_password)
    except (ssl.SSLError, ValueError) as error:
        allowed = f"the private key of the certificate in {settings.tls_cert}, without a password"
        raise _error(settings, "tls_key", allowed) from error
    return context


def _no_password() -> str:
    """Refuse a key with a password: OpenSSL would ask for it at the terminal."""
    raise ValueError("the key has a password")


def _error(settings: Settings, name: str, allowed: str) -> SettingError:
    return SETTINGS[name].error(getattr(settings, name), "the settings", allowed)
