"""Check whether both transports work through the proxies before a server, and name the fixes."""
