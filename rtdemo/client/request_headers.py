"""Send the user's headers, such as a login token, to the server that they are for and to no other."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import ClientHandlerType, ClientMiddlewareType, ClientRequest, ClientResponse

from rtdemo.protocol.address import Address


def middlewares(address: Address) -> Sequence[ClientMiddlewareType]:
    """Return what an HTTP session needs to send an address's headers.

    Arguments:
        address: of the server, with the headers. Requests to another host or port, such as after a
            redirect, or to it without TLS, do not have them.
    """

    async def add_headers(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        url = request.url
        secure = url.scheme in ("https", "wss")
        if (url.host, url.port, secure) == (address.host, address.port, address.secure):
            request.headers.update(address.headers)
        return await handler(request)

    return (add_headers,)
