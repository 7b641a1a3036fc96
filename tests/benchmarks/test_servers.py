"""Ports are held for the servers that are measured: no other program gets one before they listen."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from benchmarks.servers import HOST, held_ports


def test_a_held_port_is_for_the_server_that_names_it() -> None:
    """A client that reached another program's server measured that, until it ended."""
    with held_ports(3) as ports:
        assert len(set(ports)) == 3
        for port in ports:
            with socket.socket() as other, pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
                other.bind((HOST, port))
            with (
                socket.create_server((HOST, port)) as server,
                socket.create_connection((HOST, port)) as client,
            ):
                accepted, address = server.accept()
                accepted.close()
                assert address == client.getsockname()


def test_a_held_port_refuses_connections_until_its_server_listens() -> None:
    """Else a server would be taken for started before it is."""
    with held_ports(1) as (port,), pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))
