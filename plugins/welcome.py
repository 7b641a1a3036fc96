"""Send a new client the welcome, with the id that it needs to send texts."""

from rtdemo import Client, Message, producer


@producer(always=True)
def welcome(client: Client) -> Message:
    return Message(f"{client.label} connection established", client=client.id)
