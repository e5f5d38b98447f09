"""The servers of a run: one for each case, all up at once, in front of one upstream. For bench/run all and its like."""

import os
import signal
import sys

from cases import NAME, VALUE
from envoy import BINARY, Envoy
from nginx import Nginx, get
from processes import FOR_OTHERS, FOR_SERVERS, free_ports, pin


class Unexpected(Exception):
    """A server that answers what it should not."""


def check(server, case):
    """Raises Unexpected unless responses are what the case is about, and the upstream gets what it is to get."""
    request, answer = case.work.request, case.work.answer
    for form in case.forms:
        status, headers, body = get(server.port, f"/{form}", request.method, request.body, request.headers)
        values = headers.get_all(NAME, [])
        if status != 200 or body != answer.body or values != [VALUE] * answer.headers:
            raise Unexpected(f"{case.name}, {form}: not the response expected: {status} {values} {body!r}")
        if form == "proxied" and case.work.name != "body":
            _, _, seen = get(server.port, f"/{form}?check", request.method, request.body, request.headers)
            if seen != (VALUE if answer.is_seen else ""):
                raise Unexpected(f"{case.name}, {form}: the upstream has got {seen!r} as {NAME}")
        if answer.refused:
            bad, wanted = answer.refused
            status, _, _ = get(server.port, f"/{form}", bad.method, bad.body, bad.headers)
            if status != wanted:
                raise Unexpected(f"{case.name}, {form}: {status}, not {wanted}, for what is to be refused")


class Fleet:
    """Use it with `with`: servers end with it."""

    def __init__(self, cases, cache):
        self.cases = cases
        self.cache = cache
        self.servers = {}  # by the case's name
        self.upstream = None
        self.left_out = {}  # why, by the case's name

    def __enter__(self):
        # Whoever ends this run ends its servers, too.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
        self.upstream = start_upstream()
        try:
            print(f"starting {len(self.cases)} servers", file=sys.stderr)
            for case in self.cases:
                self.start(case)
        except BaseException:
            self.stop()
            raise
        self.cases = [case for case in self.cases if case.name in self.servers]
        return self

    def start(self, case):
        server = None
        try:
            server = start(case, self.upstream.port, self.cache)
            check(server, case)
        except (Unexpected, OSError) as error:
            if case.way != "envoy":
                raise
            # Not each filter runs there.
            self.left_out[case.name] = str(error).strip().split("\n")[-1][-300:]
            server.stop() if server else None
            return
        pin(server.pid, FOR_SERVERS)
        self.servers[case.name] = server

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for server in self.servers.values():
            server.stop()
        if self.upstream:
            self.upstream.stop()

    def errors(self):
        return [(name, line) for name, server in self.servers.items() for line in server.errors()]


def make(case, upstream_port, cache, name=None):
    """The server of a case, configured."""
    port = free_ports(1)[0]
    server = (Envoy if case.way == "envoy" else Nginx)(name or case.name, port)
    server.configure_case(case, upstream_port, cache)
    return server


def start(case, upstream_port, cache):
    server = make(case, upstream_port, cache)
    server.start(patience=300)
    return server


def start_upstream():
    # Every server of a run keeps 50 connections to it.
    upstream = Nginx("upstream", free_ports(1)[0], connections=8192)
    upstream.configure_upstream()
    upstream.start()
    pin(upstream.pid, FOR_OTHERS)
    return upstream


def has_envoy():
    return bool(BINARY) and os.access(BINARY, os.X_OK)
