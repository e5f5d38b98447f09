"""Ports for servers of tests and benchmarks. Who needs them adds this folder to the path of modules."""

import random
import socket

# Above those that t/run gives to test files.
LOWEST = 15000


# Bound, and nobody listens: who looks for a port finds it taken, and a server may have it, since it says SO_REUSEADDR.
reserved = []


def free_ports(count):
    """Ports on the loopback address for servers that this process starts; nobody else finds them free until it ends.

    None of those that the system gives to clients: what others connect to meanwhile would take one before its server has it.
    """
    with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        first, last = map(int, limits.read().split())
    candidates = [*range(LOWEST, first), *range(max(last + 1, LOWEST), 65536)]
    random.shuffle(candidates)
    ports = []
    for port in candidates:
        if len(ports) == count:
            break
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            one.close()
            continue
        # Not before: two that look at the same time would both get it.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.append(one)
        ports.append(port)
    if len(ports) < count:
        raise OSError(f"there are not {count} free ports outside of {first} to {last} (net.ipv4.ip_local_port_range)")
    return ports
