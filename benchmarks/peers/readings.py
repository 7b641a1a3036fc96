"""A private producer of values, at the rate of the built-in messages."""

from itertools import count

from rtdemo import producer

numbers = count()


@producer(every=2)
def reading() -> dict[str, float]:
    """Return three numbers, as a sensor has them."""
    number = next(numbers)
    return {"celsius": 20 + number % 100 / 10, "humidity": 40.5, "number": number}
