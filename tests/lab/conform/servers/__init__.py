"""Servers of event streams by other libraries, each as its documentation shows.

Each is a program that serves /events on a free port of 127.0.0.1, and prints `port N`. It sends an event
every 100 ms, with no more than its library adds.
"""
