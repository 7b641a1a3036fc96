"""What a release has: its files, its changelog, and that it works where it is installed."""
