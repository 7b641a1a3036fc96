"""Publish messages to an rtdemo server during a storm, each until it is accepted."""

from __future__ import annotations

import asyncio
from secrets import token_hex

import aiohttp
import msgspec

from rtdemo.client.failures import refusal_error, to_server_error
from rtdemo.errors import ServerError
from rtdemo.protocol.address import Address
from rtdemo.protocol.message import DECODE_ERRORS, Position, parse_position

PRODUCER = "storm"
"""Producer of the messages."""
_RETRY_S = 0.2
_TIMEOUT_S = 5.0
_NETWORK_ERRORS = (aiohttp.ClientError, OSError, TimeoutError)


class _Answer(msgspec.Struct):
    positions: list[str]


class Publisher:
    """Publish one message after the other.

    Arguments:
        http: makes the requests.
        address: of the server.

    Attributes:
        accepted: positions of the messages that the server accepted.
    """

    def __init__(self, http: aiohttp.ClientSession, address: Address) -> None:
        self.accepted: list[Position] = []
        self._http = http
        self._url = address.url("/api/publish")
        self._name = token_hex(4)
        self._number = 0
        self._is_stopped = False

    async def publish_first(self) -> None:
        """Publish one message, which shows whether the server allows it.

        Raises:
            ServerError: if it does not.
        """
        refusal = await self._post()
        if refusal is not None:
            raise refusal

    async def run(self, pause_s: float) -> None:
        """Publish until `stop`. A message that was not confirmed is sent again, with the same key.

        Arguments:
            pause_s: seconds between two messages.
        """
        while not self._is_stopped:
            refusal = await self._post()
            await asyncio.sleep(pause_s if refusal is None else _RETRY_S)

    def stop(self) -> None:
        """Publish no further message."""
        self._is_stopped = True

    async def _post(self) -> ServerError | None:
        """Publish the next message; return the error if it was not accepted."""
        text = f"storm {self._name}-{self._number}"
        body = {"message": text, "producer": PRODUCER}
        headers = {"Idempotency-Key": text}
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                self._http.post(self._url, json=body, headers=headers) as answer,
            ):
                content = await answer.read()
                if answer.status != 200:
                    return refusal_error(
                        self._url, answer.status, content.decode(errors="replace"), answer.headers
                    )
                position = parse_position(msgspec.json.decode(content, type=_Answer).positions[0])
        except _NETWORK_ERRORS as error:
            return to_server_error(self._url, error)
        except (*DECODE_ERRORS, IndexError):
            position = None
        if position is None:
            return ServerError(self._url, "does not publish", "storm can publish to rtdemo only")
        self.accepted.append(position)
        self._number += 1
        return None
