"""Many connections for a long time: what the server keeps of those that have left."""
