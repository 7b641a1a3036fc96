"""Clocks, schedules, retry delays, event loop lag and histograms of durations."""
