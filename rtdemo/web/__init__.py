"""HTTP: the page, the API and both transports, on aiohttp."""
