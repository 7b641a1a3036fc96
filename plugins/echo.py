"""Reply to each text of a client with the same text."""

from rtdemo import Client, hookimpl


@hookimpl
def receive(client: Client, text: str) -> str:
    return f"Echo: {text}"
