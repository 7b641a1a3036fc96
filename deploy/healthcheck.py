"""Return 0 where the server of this container answers /healthz, otherwise 1: the image's HEALTHCHECK.

It needs only the standard library, so that the image needs no curl. It asks the address that the server
listens on, as HOST and PORT set it.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys

TIMEOUT_S = 2.0
"""Less than the HEALTHCHECK's own timeout, so that the reason is printed."""


def main() -> int:
    """Return the exit code; print the reason where it is not 0."""
    host, port = os.environ.get("HOST") or "127.0.0.1", int(os.environ.get("PORT") or 3000)
    # No urllib: a container's http_proxy variable would send the request to that proxy.
    if os.environ.get("RTDEMO_TLS_CERT"):
        # The certificate is for the server's public name, and not for this address.
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            host, port, timeout=TIMEOUT_S, context=unverified
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.stdout.write(f"no answer from {host}:{port}: {error!r}\n")
        return 1
    finally:
        connection.close()
    if status != 200:
        sys.stdout.write(f"{host}:{port} answered /healthz with {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
