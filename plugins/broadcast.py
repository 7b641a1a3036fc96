"""Send everyone the same numbered message every five seconds, wherever they are connected."""

from rtdemo import producer


@producer(every=5, shared=True)
def broadcast(seq: int) -> str:
    return f"Global broadcast #{seq}"
