"""Any bytes where strangers' bytes are parsed: drawn by the tests, mutated by `make fuzz`."""
