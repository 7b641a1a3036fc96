"""A plugin with shared messages so often that a client that was cut misses some at once."""

from rtdemo import producer


@producer(every=0.3, shared=True)
def often(seq: int) -> str:
    return f"often {seq}"
