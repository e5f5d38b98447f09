"""How long servers take to start, and to take up another configuration, until they have answered a request. For bench/run
all."""

import http.client
import resource
import statistics
import subprocess
import sys
import time

from cases import find_case
from fleet import make, start_upstream
from nginx import get

CASES = ("plain", "loaded", "wat-lua", "wat", "rust", "large", "go", "transformer", "coraza")
OF_ENVOY = ("envoy", "wat-envoy", "rust-envoy", "go-envoy", "transformer-envoy", "coraza-envoy")


def check_configuration(nginx):
    """Wall and processor seconds of `nginx -t`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    result = subprocess.run(nginx.command("-t"), capture_output=True, text=True)
    wall = time.monotonic() - begin
    if result.returncode != 0:
        sys.exit(f"{nginx.name}: nginx -t failed:\n{result.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def answers(port, path):
    """The answer's body; None when there is none."""
    try:
        status, _, body = get(port, path)
        return body if status == 200 else None
    except (OSError, http.client.HTTPException):
        return None


def until(condition, what, seconds=300):
    """Seconds until the condition holds."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.001)
    return time.monotonic() - begin


def start_time(server, case):
    """Seconds from the start until a request has passed through what the case is about."""
    begin = time.monotonic()
    server.start(patience=300)
    until(lambda: answers(server.port, f"/{case.forms[0]}") is not None, case.name)
    return time.monotonic() - begin


def reload_time(server):
    """Seconds until a new worker has answered, through the filter."""
    # (A worker of the reload before may not have gone yet.)
    old = {str(pid) for pid in server.current_workers()}
    begin = time.monotonic()
    server.reload()
    until(lambda: answers(server.port, "/worker") not in (None, *old), server.name)
    return time.monotonic() - begin


def life_of(case, upstream, cache, repeats):
    figures = {}
    if case.way != "envoy":
        server = make(case, upstream.port, None, "life")
        walls, cpus = zip(*(check_configuration(server) for _ in range(repeats)))
        figures["check_ms"] = statistics.median(walls) * 1000
        figures["check_cpu_ms"] = statistics.median(cpus) * 1000
        server = make(case, upstream.port, cache, "life")
        check_configuration(server)
        figures["check_kept_ms"] = statistics.median(check_configuration(server)[0] for _ in range(3)) * 1000
    starts, reloads = [], []
    for _ in range(repeats):
        server = make(case, upstream.port, cache, "life")
        try:
            starts.append(start_time(server, case))
            if case.way != "envoy":
                reloads += [reload_time(server) for _ in range(3)]
        finally:
            server.stop()
    figures["start_ms"] = statistics.median(starts) * 1000
    if reloads:
        figures["reload_ms"] = statistics.median(reloads) * 1000
    return figures


def measure_life(known, cache):
    """By the names of cases; of those alone that are `known`."""
    found = {}
    upstream = start_upstream()
    try:
        for name in (*CASES, *OF_ENVOY):
            if name in known:
                print(f"start and reload: {name}", file=sys.stderr)
                slow = any(word in name for word in ("coraza", "transformer"))
                found[name] = life_of(find_case(name), upstream, cache, 1 if slow else 3)
    finally:
        upstream.stop()
    return found
