"""The Redis engine: several servers share one log, which is a Redis stream."""
