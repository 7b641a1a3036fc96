"""Listening sockets: every interface includes IPv4 and IPv6; a port in use is one line."""

from __future__ import annotations

import socket

import pytest

from rtdemo.errors import ListenError
from rtdemo.server.sockets import INHERITED_OPTIONS, bind, end_unacknowledged


def test_every_interface_has_one_port_on_both_families() -> None:
    """A free port is the same number on IPv4 and IPv6."""
    sockets = bind("", "", 0)
    try:
        assert {sock.family for sock in sockets} == {socket.AF_INET, socket.AF_INET6}
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize(("prefix", "flag"), [("", "--port"), ("websocket_", "--websocket-port")])
def test_port_in_use_names_port_flag_and_variable(prefix: str, flag: str) -> None:
    """The line names the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError) as caught:
            bind(prefix, "127.0.0.1", port)
    line = str(caught.value)
    variable = flag[2:].upper().replace("-", "_")
    # Else a second server would fail once more, at the other port.
    words = (str(port), flag, variable, "or one port for both sites: --port 4000 --single-site")
    assert [word for word in words if word not in line] == []
    assert caught.value.exit_code == 1


def test_unknown_host_names_the_host_s_flag() -> None:
    """For a name that does not resolve, the error names --host, not --port."""
    with pytest.raises(ListenError) as caught:
        bind("", "no.such.host.invalid", 0)
    assert "--host" in str(caught.value)
    assert "--single-site" not in str(caught.value)


def test_accepted_connections_have_the_options_of_the_listening_socket() -> None:
    """They are set once, and not again for each connection."""
    (listening,) = bind("", "127.0.0.1", 0)
    listening.listen()
    listening.setblocking(True)
    with listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            found = [accepted.getsockopt(level, option) for level, option, _ in INHERITED_OPTIONS]
    assert found == [value for _, _, value in INHERITED_OPTIONS]
    assert len(found) >= 2


@pytest.mark.skipif(
    not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system has no TCP_USER_TIMEOUT"
)
@pytest.mark.parametrize(("heartbeat", "timeout_ms"), [(25.0, 25_000), (1.0, 10_000)])
def test_accepted_connection_ends_if_its_peer_acknowledges_nothing(
    heartbeat: float, timeout_ms: int
) -> None:
    """For the time of a heartbeat; the kernel drops packets only for root, so the option is read."""
    (listening,) = bind("", "127.0.0.1", 0)
    end_unacknowledged(listening, heartbeat)
    listening.listen()
    with listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            found = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    assert found == timeout_ms
