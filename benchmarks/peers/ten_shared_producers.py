"""Ten shared producers, one message a second each, which no client of the benchmark picks."""

from rtdemo import Producer, hookimpl


def for_nobody() -> str:
    """Return the text that no client gets."""
    return "for nobody"


@hookimpl
def shared_producers() -> list[Producer]:
    """Return all ten."""
    return [Producer(f"unpicked-{number}", for_nobody, every=1, shared=True) for number in range(10)]
