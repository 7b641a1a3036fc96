"""Speak the two transports."""
