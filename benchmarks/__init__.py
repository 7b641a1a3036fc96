"""Measure what rtdemo costs: `python -m benchmarks.cpu_per_message`, from the repository's root."""
