"""Define the load: two producers a connection, with the periods of rtdemo's built-in plugins."""

from typing import Literal, get_args

Transport = Literal["websocket", "sse"]
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

MESSAGE_PERIOD = 2.0
STATUS_PERIOD: dict[Transport, float] = {"websocket": 3.0, "sse": 5.0}
MIN_SPEED, MAX_SPEED = 0.1, 20.0


def periods(transport: Transport, speed: float) -> dict[str, float]:
    """Return each private producer's period in seconds.

    Arguments:
        transport: status comes every 3 s over WebSocket, every 5 s over SSE.
        speed: multiplies the rates.
    """
    return {"message": MESSAGE_PERIOD / speed, "status": STATUS_PERIOD[transport] / speed}


def messages_per_second(transport: Transport, speed: float) -> float:
    """Return how many private messages one connection is due each second.

    Arguments:
        transport: whose periods are meant.
        speed: multiplies the rates.
    """
    return sum(1 / period for period in periods(transport, speed).values())
