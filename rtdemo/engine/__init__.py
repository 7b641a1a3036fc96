"""Keep the log of shared messages and hand it on: in this process, or for several through Redis."""
