"""Show a sensor that measures two temperatures at once: a dict, with a title and a unit."""

from random import gauss

from rtdemo import producer


def read() -> dict[str, float]:
    """Stand in for your device."""
    return {"air": gauss(21, 0.4), "soil": gauss(18, 0.1)}


@producer(every=1, shared=True, title="Greenhouse", unit="°C")
def sensor() -> dict[str, float]:
    return {name: round(value, 2) for name, value in read().items()}
