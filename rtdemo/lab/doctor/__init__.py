"""Examine the path to a server: whether it is fit for both transports, and what mends it."""
