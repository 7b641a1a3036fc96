"""Send the user's login token, to the server that it is for and to no other."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse, hdrs

from rtdemo.lab.address import Address


def middlewares(address: Address) -> Sequence[ClientMiddlewareType]:
    """Return what an HTTP session needs to log in at a server.

    Arguments:
        address: of the server, with the token. Requests to another host or port, such as after a
            redirect, or to it without TLS, do not have the token.
    """
    if not address.token:
        return ()

    async def log_in(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        url = request.url
        secure = url.scheme in ("https", "wss")
        if (url.host, url.port, secure) == (address.host, address.port, address.secure):
            request.headers[hdrs.AUTHORIZATION] = f"Bearer {address.token}"
        return await handler(request)

    return (log_in,)
