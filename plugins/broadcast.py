"""Send all clients of the deployment the same numbered message every five seconds."""

from rtdemo import producer


@producer(every=5, shared=True)
def broadcast(seq: int) -> str:
    return f"Global broadcast #{seq}"
