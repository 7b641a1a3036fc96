"""Greet a client and tell it the id under which it may speak."""

from rtdemo import Client, Message, producer


@producer(always=True)
def welcome(client: Client) -> Message:
    return Message(f"{client.label} connection established", client=client.id)
