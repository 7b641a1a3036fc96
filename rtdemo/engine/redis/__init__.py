"""Keep the log of shared messages in Redis, for several servers."""
