"""Clocks: when producers run, how late the event loop is, and histograms of durations."""
