"""Measure what a server delivers over its transports, and compare them."""
