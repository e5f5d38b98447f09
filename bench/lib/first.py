"""The first request that a worker answers, beside its later ones: for nginx alone, for filters, a program and a function.

  bench/run first [installed | vendored | /path/to/configured/objs] [--starts N] [--later N]

nginx is started so many times for each row, with compiled code from the cache, and gets one request after the other, each on a
connection of its own, from one client. Shown are medians over all starts, in milliseconds from the first byte that is sent to
the end of the connection: the first request, the later ones, the one through the other, and pages that the worker had to fault in.
That a worker is ready is seen from the processor time that it no longer uses: it has had a connection by then, but no request.
"""

import argparse
import json
import os
import socket
import statistics
import sys
import time

from cases import CORAZA, TRANSFORM
from coraza import TIMEOUT
from nginx import MODULE, PREFIX, ROOT, Nginx, quoted
from processes import FOR_OTHERS, FOR_SERVERS, cpu_ns, free_ports, pin

ROWS = [
    ("nginx alone", None, "return 200 hello;"),
    ("a filter with the Rust SDK", "rust-headers", "proxy_wasm m; return 200 hello;"),
    ("a filter with the Go SDK", "go-headers", "proxy_wasm m; return 200 hello;"),
    ("Higress' transformer", "higress-transformer", f"proxy_wasm m {quoted(json.dumps(TRANSFORM))}; return 200 hello;"),
    ("the Coraza WAF", "coraza", f"proxy_wasm m {quoted(json.dumps(CORAZA))}; return 200 hello;"),
    ("a program in Rust", "rust-program", "wasm_cgi m;"),
    ("the same from a snapshot", "rust-program", "wasm_cgi m; wasm_snapshot on;"),
    ("a function with Extism's Rust SDK", "rust-extism", "wasm_function m greet;"),
]
# How long a worker that is ready uses no processor time.
CALM = 0.2


def configure(nginx, module, location):
    main = ""
    if module:
        cache = os.path.join(PREFIX, "first-cache")
        os.makedirs(cache, mode=0o700, exist_ok=True)
        main = f"load_module {MODULE};\nwasm {{ cache_dir {cache}; module m {os.path.join(ROOT, 'build/guests', module)}.wasm; }}\n"
    nginx.write(main, f"    wasm_timeout {TIMEOUT};\n" if module else "", f"        location / {{ {location} }}\n")


def wait_until_calm(pid):
    """Its port is open before its filters have started, and programs start on a thread: that they have, its rest says."""
    used, since = cpu_ns(pid), time.monotonic()
    while time.monotonic() - since < CALM:
        time.sleep(0.02)
        # (Its clock looks at the time 100 times in a second.)
        if (now := cpu_ns(pid)) - used > 2_000_000:
            used, since = now, time.monotonic()


def faults(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[7])


def ask(nginx):
    """One request: milliseconds, and pages."""
    before = faults(nginx.pid)
    with socket.create_connection(("127.0.0.1", nginx.port), 60) as connection:
        begin = time.perf_counter()
        connection.sendall(b"POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nnginx")
        answer = b""
        while part := connection.recv(65536):
            answer += part
        taken = time.perf_counter() - begin
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"{nginx.name}: the answer is {answer[:200]}")
    # What the worker does behind the answer is over.
    time.sleep(0.01)
    return taken * 1000, faults(nginx.pid) - before


def measure(name, module, location, starts, later):
    nginx = Nginx("first", free_ports(1)[0])
    configure(nginx, module, location)
    first, others = [], []
    for number in range(starts):
        print(f"{name}: start {number + 1}", file=sys.stderr)
        nginx.start(patience=600)
        try:
            pin(nginx.pid, FOR_SERVERS)
            wait_until_calm(nginx.pid)
            first.append(ask(nginx))
            others += [ask(nginx) for _ in range(later)]
        finally:
            nginx.stop()
    return [statistics.median(column) for asked in (first, others) for column in zip(*asked)]


def main():
    parser = argparse.ArgumentParser(prog="bench/run first", add_help=False)
    parser.add_argument("--starts", type=int, default=11)
    parser.add_argument("--later", type=int, default=5)
    arguments = parser.parse_args()
    pin(os.getpid(), FOR_OTHERS)
    rows = [(row[0], measure(*row, arguments.starts, arguments.later)) for row in ROWS]
    print(f"{os.environ['BENCH_NGINX_TITLE']}, {arguments.starts} starts, {arguments.later} later requests each; milliseconds")
    print(f"  {'':<36} {'first':>8} {'later':>8} {'ratio':>6} {'pages':>7} {'later':>7}")
    for name, (first, pages, later, later_pages) in rows:
        print(f"  {name:<36} {first:>8.2f} {later:>8.2f} {first / later:>6.1f} {pages:>7.0f} {later_pages:>7.0f}")


main()
