"""Publish values from any thread, process, notebook or script, without waiting for the server."""
