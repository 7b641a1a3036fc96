"""A plugin that sends shared messages so often that a disconnected client misses some at once."""

from rtdemo import producer


@producer(every=0.3, shared=True)
def often(seq: int) -> str:
    return f"often {seq}"
