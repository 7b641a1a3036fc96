"""Examine the path to a server: is it fit for WebSocket and SSE, and what mends it where it is not?"""
