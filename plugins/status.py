"""Send one of six statuses: every three seconds over WebSocket, every five over SSE."""

from random import choice

from rtdemo import producer

WEBSOCKET = (
    "Real-time sync active",
    "WebSocket health: Excellent",
    "Low latency confirmed",
    "Bidirectional ready",
    "Connection stable",
    "Data stream flowing",
)
SSE = (
    "Processing data...",
    "Server load: Normal",
    "Database sync completed",
    "Cache refreshed",
    "Monitoring active",
    "System health: Good",
)


@producer(name="status", every=3, transports=["websocket"])
def websocket_status() -> str:
    return choice(WEBSOCKET)


@producer(name="status", every=5, transports=["sse"])
def sse_status() -> str:
    return choice(SSE)
