"""Show a training loop while it runs: a script of its own, which is not part of a server."""

import random
import sys
import time

import rtdemo

EPOCHS, RATE = 600, 0.05
POINTS = [(x / 100, 3 * x / 100 + 1 + random.gauss(0, 0.1)) for x in range(100)]
"""The line y = 3x + 1, with noise: the loop is to find 3 and 1."""


def train(epochs: int) -> None:
    slope = offset = 0.0
    for epoch in range(epochs):
        errors = [(x, slope * x + offset - y) for x, y in POINTS]
        slope -= RATE * sum(x * error for x, error in errors) / len(POINTS)
        offset -= RATE * sum(error for _, error in errors) / len(POINTS)
        rtdemo.publish("loss", sum(error**2 for _, error in errors) / len(POINTS))
        rtdemo.publish("weights", {"slope": slope, "offset": offset})
        if epoch % 100 == 0:
            rtdemo.publish("training", f"epoch {epoch} of {epochs}")
        time.sleep(0.05)  # a real epoch takes longer


if __name__ == "__main__":
    train(int(sys.argv[1]) if len(sys.argv) > 1 else EPOCHS)
