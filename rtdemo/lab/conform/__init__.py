"""Conformance suite for servers of event streams: `rtdemo conform`."""
