"""Put Python on a live web page over WebSocket and Server-Sent Events, side by side.

A plugin needs only what this package offers here.
"""

__version__ = "0.1.0"

from rtdemo.checks import Check, Finding
from rtdemo.client import Client
from rtdemo.hookspecs import hookimpl
from rtdemo.message import Broadcast, Message
from rtdemo.options import Option, Secret
from rtdemo.producers import Producer, producer
from rtdemo.reasons import Reason

__all__ = [
    "Broadcast",
    "Check",
    "Client",
    "Finding",
    "Message",
    "Option",
    "Producer",
    "Reason",
    "Secret",
    "__version__",
    "hookimpl",
    "producer",
]
