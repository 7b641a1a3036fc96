"""Serve an ASGI application by uvicorn on a free port."""

import socket
from typing import Any

import uvicorn


def serve(app: Any) -> None:
    """Print the port, then serve until the process is ended."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"port {listening.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="critical"))
    server.run(sockets=[listening])
