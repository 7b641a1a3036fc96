"""Client tools that examine a server from outside: follow it, measure it, check the path to it."""
