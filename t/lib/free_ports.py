"""Ports for servers of tests and benchmarks. Who needs them adds this folder to the path of modules."""

import random
import socket

# Above those that t/run gives to test files.
LOWEST = 15000


def free_ports(count):
    """Ports on the loopback address that nobody listens on now.

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
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
    if len(ports) < count:
        raise OSError(f"there are not {count} free ports outside of {first} to {last} (net.ipv4.ip_local_port_range)")
    return ports
