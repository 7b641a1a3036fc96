"""Say back what a client says."""

from rtdemo import Client, hookimpl


@hookimpl
def receive(client: Client, text: str) -> str:
    return f"Echo: {text}"
