"""Send a numbered message every two seconds."""

from random import random

from rtdemo import Client, producer


@producer(every=2)
def message(client: Client) -> str:
    return f"{client.label} Message {int(random() * 1000)}"
