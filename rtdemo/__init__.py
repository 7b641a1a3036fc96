"""Put Python on a live web page over WebSocket and Server-Sent Events, side by side.

Plugins import only from this package; its modules are internal.
"""

__version__ = "0.1.0"

try:
    import msgspec as _msgspec  # noqa: F401 - for the sentence below; the imports that follow need it
except ModuleNotFoundError as _error:
    # In a clone, a Python without rtdemo's environment finds this folder.
    raise ModuleNotFoundError(
        f"rtdemo's packages are missing in this Python ({_error.name}): activate the environment "
        "(. .venv/bin/activate), or install rtdemo (pip install FOLDER)",
        name=_error.name,
    ) from None

from rtdemo.errors import ProducerError, Refused
from rtdemo.plugin_system.checks import Check, Finding
from rtdemo.plugin_system.hookspecs import hookimpl
from rtdemo.plugin_system.options import Option, Secret
from rtdemo.plugin_system.producer import Producer, producer
from rtdemo.protocol.client import Client
from rtdemo.protocol.close_reasons import Reason
from rtdemo.protocol.message import Broadcast, Message
from rtdemo.publisher.asynchronous import AsyncPublisher
from rtdemo.publisher.embed import embed
from rtdemo.publisher.publish import flush, publish
from rtdemo.publisher.waiting import PublishCounts

__all__ = [
    "AsyncPublisher",
    "Broadcast",
    "Check",
    "Client",
    "Finding",
    "Message",
    "Option",
    "Producer",
    "ProducerError",
    "PublishCounts",
    "Reason",
    "Refused",
    "Secret",
    "__version__",
    "embed",
    "flush",
    "hookimpl",
    "producer",
    "publish",
]
