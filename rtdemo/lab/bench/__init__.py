"""Measure what a server delivers over its transports, and tell whether they differ."""
