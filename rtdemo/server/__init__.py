"""Run the server: listen, start, stop, reload, and several worker processes."""
