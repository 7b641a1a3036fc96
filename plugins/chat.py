"""Pass a client's `/all text` on to everyone."""

from rtdemo import Broadcast, Client, hookimpl

COMMAND = "/all "


@hookimpl
def receive(client: Client, text: str) -> Broadcast | None:
    said = text.removeprefix(COMMAND).strip()
    return Broadcast(said) if said and text.startswith(COMMAND) else None
