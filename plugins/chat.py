"""Broadcast the text after `/all ` from one client to all clients."""

from rtdemo import Broadcast, Client, hookimpl

COMMAND = "/all "


@hookimpl
def receive(client: Client, text: str) -> Broadcast | None:
    shared = text.removeprefix(COMMAND).strip() if text.startswith(COMMAND) else ""
    return Broadcast(shared) if shared else None
