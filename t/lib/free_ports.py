"""Ports for servers of tests and benchmarks. Who needs them adds this folder to the path of modules."""

import socket


def free_ports(count):
    """Ports on the loopback address that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
