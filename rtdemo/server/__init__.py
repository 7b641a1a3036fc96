"""Run the server: listen, start, stop, reload plugins, and run several worker processes."""
