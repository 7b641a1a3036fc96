"""Look at a server from outside, as its clients do: follow it, measure it, examine the path to it."""
