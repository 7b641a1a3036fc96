"""Examine a token stream: an answer to a POST that arrives token by token, of any server."""
