"""Engines: they keep the log of shared messages and deliver it to every server."""
