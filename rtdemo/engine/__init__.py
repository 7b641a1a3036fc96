"""Keep the log of shared messages and distribute it: in memory or through Redis."""
