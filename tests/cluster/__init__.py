"""Several servers on one Redis behind a real proxy, and clients that keep account of what they get."""
