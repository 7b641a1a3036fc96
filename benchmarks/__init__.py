"""Measure what rtdemo costs beside other servers: `python -m benchmarks`, from the repository's root."""
