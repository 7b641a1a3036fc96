"""Servers that rtdemo is measured beside, each as its own documentation shows."""
