"""Two workers, and a chain of three filters that misbehave for as long as it takes: one traps at each 1000th callback, one loops
for ever at each 5000th, one leaks 64 KiB with each request. Half of the requests go through it, half through a healthy
filter in the same workers. Every answer is checked: fails when a request fails that no trap and no time-out explains, when
a healthy one is late or wrong, when a worker grows, dies, or keeps descriptors.

  bench/run soak-faults [installed | vendored | /path/to/configured/objs] [--seconds N] [--warm-up N] [--connections N] [--isolation request]

  --seconds      how long (default 60)
  --warm-up      how long before that (default 10)
  --connections  to each of the two chains (default 16)
  --isolation    worker (default), or request: each request has an instance of each filter for itself. What misbehaves then does
                 so in each 1000th, or 5000th, request of a connection
"""

import argparse
import asyncio
import collections
import json
import os
import re
import statistics
import sys
import time
import urllib.request

from nginx import MODULE, ROOT, Nginx
from processes import free_ports, memory_kib

# How much a worker's memory may have grown from the first third to the last: as a rule, and at the most. Instances that leak
# come and go, with up to 16 MiB each, and a sample may find one more of them.
GROWTH_KIB = 2048
MOST_GROWTH_KIB = 16384
TIMEOUT = 60
# What requests ask for, and send.
SIZES = (0, 1, 1000, 20_000, 300_000)


def content(size):
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


def guest(name, file):
    return f"    module {name} {os.path.join(ROOT, 'build/guests', file)};\n"


def chain(*between):
    """Directives of a location: healthy filters around these."""
    filters = ("healthy 'response.add x-before yes'", *between, "healthy 'response.add x-behind yes'")
    return "".join(f"            proxy_wasm {one};\n" for one in filters) + "            proxy_pass http://other/;\n"


def location(path, *between):
    return f"        location {path} {{\n{chain(*between)}        }}\n"


LEAKS = "leaks 'name leaks; leak 65536'"


def locations(isolation):
    if isolation == "worker":
        traps, loops = "traps 'name traps; @any every:1000 abort'", "loops 'name loops; @any every:5000 loop'"
        return location("/faulty", traps, loops, LEAKS) + location("/healthy")
    # An instance that is there for one request cannot count those before it.
    return (
        "        proxy_wasm_isolation request;\n"
        "        if ($fault) { rewrite ^/faulty(/.*)$ /$fault$1 last; }\n"
        + location("/traps", "traps 'name traps; @any nth:4 abort'", LEAKS)
        + location("/loops", "loops 'name loops; @any nth:3 loop'", LEAKS)
        + location("/faulty", LEAKS)
        + location("/healthy")
    )


def configure(nginx, upstream_port, isolation):
    nginx.write(
        f"load_module {MODULE};\nwasm {{\n"
        + guest("traps", "rust-faulty.wasm")
        + guest("loops", "rust-faulty.wasm")
        + guest("leaks", "rust-faulty.wasm")
        + guest("healthy", "rust-headers.wasm")
        + "}\n",
        f"    upstream other {{ server 127.0.0.1:{upstream_port}; keepalive 64; keepalive_requests 1000000000; }}\n"
        '    proxy_http_version 1.1;\n    proxy_set_header Connection "";\n    client_max_body_size 10m;\n'
        "    wasm_memory_limit 16m;\n    wasm_timeout 100ms;\n"
        # No lines about files in the error log.
        "    proxy_max_temp_file_size 0;\n    client_body_buffer_size 1m;\n"
        "    map $connection_requests $fault { ~[05]000$ loops; ~000$ traps; default ''; }\n",
        locations(isolation)
        + "        location = /status { proxy_wasm off; wasm_status; }\n",
    )


def configure_upstream(upstream):
    for size in SIZES:
        with open(os.path.join(upstream.prefix, f"file-{size}"), "wb") as out:
            out.write(content(size))
    # A POST gets the file, too.
    upstream.write(
        "",
        "    client_max_body_size 10m;\n",
        f"        root {upstream.prefix};\n        location / {{ error_page 405 =200 $uri; }}\n",
    )


class Tally:
    """What came of the requests to one place."""

    def __init__(self, place):
        self.place = place
        self.counts = collections.Counter()
        self.examples = []
        self.slowest = 0.0

    def note(self, kind, example=""):
        self.counts[kind] += 1
        if kind == "wrong" and len(self.examples) < 10:
            self.examples.append(example)

    def total(self):
        return sum(self.counts.values())


async def client(port, tally, number, is_over):
    """Requests one after the other on one connection, which is made again when the server has closed it."""
    reader = writer = None
    n = number
    while not is_over():
        n += 7
        size = SIZES[n % len(SIZES)]
        body = content(SIZES[n // 3 % 4]) if n % 4 == 0 else b""
        head = f"{'POST' if body else 'GET'} {tally.place}/file-{size} HTTP/1.1\r\nHost: soak\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        begin = time.monotonic()
        try:
            kind, example, keeps = await asyncio.wait_for(
                ask(reader, writer, head.encode() + b"\r\n" + body, size), TIMEOUT
            )
        except asyncio.TimeoutError:
            kind, example, keeps = "wrong", f"no answer within {TIMEOUT} s: {head!r}", False
        tally.slowest = max(tally.slowest, time.monotonic() - begin)
        tally.note(kind, example)
        if not keeps:
            writer.close()
            writer = None
    if writer is not None:
        writer.close()


async def ask(reader, writer, request, size):
    """What came of a request: right, unavailable (503), cut (the connection ended within an answer) or wrong; an example
    of what is wrong; whether the connection goes on."""
    try:
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
    except (ConnectionError, asyncio.IncompleteReadError) as err:
        return "cut", repr(err), False
    lines = head.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")[1]
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    keeps = headers.get("connection") != "close"
    try:
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while True:
                length = int(await reader.readuntil(b"\r\n"), 16)
                piece = await reader.readexactly(length + 2)
                if length == 0:
                    break
                body += piece[:-2]
        else:
            body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (ConnectionError, asyncio.IncompleteReadError) as err:
        return "cut", repr(err), False
    if status == "503":
        return "unavailable", "", keeps
    if status == "200" and body == content(size) and headers.get("x-before") == headers.get("x-behind") == "yes":
        return "right", "", keeps
    return "wrong", f"{lines[0]} {headers} {len(body)} bytes, wanted {size}", keeps


async def load(port, tallies, connections, seconds):
    end = time.monotonic() + seconds
    clients = [
        client(port, tally, number, lambda: time.monotonic() > end)
        for tally in tallies
        for number in range(connections)
    ]
    await asyncio.gather(*clients)


async def watch(workers, samples, seconds):
    """A sample of the memory of each worker in each second."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for worker in workers:
            samples[worker].append(memory_kib(worker)[0])
        await asyncio.sleep(1)


async def run(nginx, tallies, connections, seconds, samples):
    await asyncio.gather(
        load(nginx.port, tallies, connections, seconds),
        watch(list(samples), samples, seconds),
    )


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def status(nginx):
    """What wasm_status says."""
    with urllib.request.urlopen(nginx.url("status"), timeout=TIMEOUT) as response:
        return json.load(response)


FAILURE = re.compile(r'wasm filter "(\w+)": failed to call function: (proxy_\w+) trapped in context \d+: (still running)?')


def main():
    parser = argparse.ArgumentParser(prog="bench/run soak-faults", add_help=False)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--isolation", choices=("worker", "request"), default="worker")
    arguments = parser.parse_args()

    ports = free_ports(2)
    upstream, nginx = Nginx("soak-faults-upstream", ports[0]), Nginx("soak-faults", ports[1], workers=2)
    configure_upstream(upstream)
    configure(nginx, upstream.port, arguments.isolation)
    places = ("/faulty", "/healthy")
    try:
        upstream.start()
        nginx.start()
        while len(workers := nginx.current_workers()) < nginx.workers:
            time.sleep(0.05)
        warm = [Tally(place) for place in places]
        asyncio.run(load(nginx.port, warm, arguments.connections, arguments.warm_up))
        descriptors_before = {worker: descriptors(worker) for worker in workers}
        tallies = [Tally(place) for place in places]
        samples = {worker: [] for worker in workers}
        begin = time.monotonic()
        asyncio.run(run(nginx, tallies, arguments.connections, arguments.seconds, samples))
        seconds = time.monotonic() - begin
        descriptors_after = {worker: descriptors(worker) for worker in workers}
        counted = status(nginx)
        is_same = sorted(nginx.current_workers()) == sorted(workers)
        lines = nginx.errors()
    finally:
        nginx.stop()
        upstream.stop()
    report(arguments, seconds, warm, tallies, samples, (descriptors_before, descriptors_after), counted, is_same, lines)


def counts(tally):
    return ", ".join(f"{tally.counts[kind]} {kind}" for kind in ("right", "unavailable", "cut", "wrong"))


def report(arguments, seconds, warm, tallies, samples, descriptors, counted, is_same, lines):
    failures = []

    def check(holds, failure):
        if not holds:
            failures.append(failure)

    faulty, healthy = tallies
    filters = {filter["name"]: filter for filter in counted["filters"] if filter["name"] in ("traps", "loops", "leaks")}
    total = collections.Counter()
    for filter in counted["filters"]:
        for key, value in filter.items():
            if isinstance(value, int):
                total[key] += value
    found = [FAILURE.search(line) for line in lines]
    logged = collections.Counter("timeouts" if match[3] else "traps" for match in found if match)
    by_filter = collections.Counter((match[1], "timeouts" if match[3] else "traps") for match in found if match)
    others = [
        line
        for line, match in zip(lines, found)
        if not match and "a wasm filter stopped a response that is on its way" not in line
    ]
    # Deadlines are time as it passes: on a machine that is busy elsewhere, a filter that does little may meet one.
    late = logged["timeouts"] - by_filter["loops", "timeouts"]
    failed = sum(tally.counts[kind] for tally in (*warm, *tallies) for kind in ("unavailable", "cut"))

    print(f"{os.environ['BENCH_NGINX_TITLE']}, two workers, isolation {arguments.isolation}, "
          f"{arguments.connections} connections to each of two chains")
    print(f"  {seconds:.0f} s after {arguments.warm_up} s to warm up: "
          f"{faulty.total() + healthy.total()} requests (and {sum(tally.total() for tally in warm)})")
    for tally in tallies:
        print(f"  {tally.place:<22} {counts(tally)}; the slowest took {tally.slowest:.2f} s")
    for name, filter in filters.items():
        keys = ("calls", "traps", "timeouts", "restarts", "recycled", "failed_requests", "refused_growth", "instances",
                "memory", "put_back", "not_put_back")
        print(f"  filter {name:<15} " + ", ".join(f"{filter.get(key)} {key}" for key in keys))
    print(f"  in the error log       {logged['traps']} traps, {logged['timeouts']} time-outs, {len(others)} other lines; "
          f"{late} time-outs of others than the filter that loops")
    print(f"  requests that failed   {failed}, by wasm_status {total['failed_requests']}")
    for worker, sizes in samples.items():
        third = max(1, len(sizes) // 3)
        for word, of, most in (("median", statistics.median, GROWTH_KIB), ("maximum", max, MOST_GROWTH_KIB)):
            first, last = int(of(sizes[:third])), int(of(sizes[-third:]))
            print(f"  RSS of worker {worker:<8} {word} {first} KiB in the first third, {last} KiB in the last: {last - first:+} KiB")
            # A few samples say little.
            check(last - first <= most or third < 20, f"worker {worker}: the {word} of its memory has grown by more than {most} KiB")
    for worker, before in descriptors[0].items():
        after = descriptors[1][worker]
        print(f"  its open descriptors   {before} after the warm-up, {after} at the end")
        # Idle connections to the upstream and to clients that have just gone come and go.
        check(after <= before + arguments.connections, f"worker {worker} has many more descriptors than after the warm-up")

    for tally in (*warm, *tallies):
        check(tally.counts["right"], f"{tally.place}: no request was served")
        check(not tally.counts["wrong"], f"{tally.place}: {tally.counts['wrong']} wrong answers: {tally.examples}")
    for tally in (warm[1], healthy):
        check(late or tally.counts["right"] == tally.total(), f"{tally.place}: {counts(tally)}")
    check(is_same, "the workers are others than at the start")
    check(not others, "unexpected lines in the error log: " + "\n".join(others[:20]))
    for key in ("traps", "timeouts"):
        check(total[key] == logged[key], f"wasm_status has {total[key]} {key}, and the error log {logged[key]}")
        check(logged[key], f"there were no {key}")
    check(by_filter["traps", "traps"] == logged["traps"], f"others than the one that traps trapped: {by_filter}")
    if arguments.isolation == "worker":
        check(filters["leaks"]["recycled"], "the filter that leaks was never replaced")
    else:
        check(total["put_back"] > healthy.total(), f"only {total['put_back']} instances were put back")
    check(failed == total["failed_requests"], f"{failed} requests failed, and wasm_status explains {total['failed_requests']}")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


main()
