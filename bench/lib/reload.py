"""The longest request while nginx is reloaded, beside a filter that starts slowly: the Coraza WAF with the core rule set.

  bench/run reload [installed | vendored | /path/to/configured/objs] [--reloads N] [--clients N]

Clients send one request after the other, each on a new connection, to a location without filters, with a pause of a millisecond
between them; nginx has two workers. Shown is, in milliseconds, the longest request of each reload, from the signal until all old workers
have gone: the median of all reloads, and the most. *quiet* is the same time without a reload. Each nginx has the same location; one
has no filter anywhere, one a filter that starts at once, and one the WAF.
"""

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import sys
import time

from coraza import DIRECTIVES, TIMEOUT
from life import answers, until
from nginx import MODULE, ROOT, Nginx, quoted
from processes import free_ports

PAUSE = 0.001
REQUEST = b"GET /beside HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

WAF = json.dumps({"directives_map": {"default": DIRECTIVES}, "default_directives": "default"})
CASES = {
    "nothing": None,
    "a filter that starts at once": ("rust-headers.wasm", ""),
    "the Coraza WAF": ("coraza.wasm", WAF),
}


def client(port, stop, results):
    """Sends what it has measured at the end: when each request began, and how long it took."""
    taken, failed = [], 0
    while not stop.is_set():
        begin = time.monotonic()
        try:
            with socket.create_connection(("127.0.0.1", port), 60) as connection:
                connection.sendall(REQUEST)
                answer = b""
                while part := connection.recv(4096):
                    answer += part
            failed += not answer.startswith(b"HTTP/1.1 200 ")
        except OSError:
            failed += 1
        taken.append((begin, time.monotonic() - begin))
        time.sleep(PAUSE)
    results.put((taken, failed))


def configure(nginx, filter_):
    main = http = waf = ""
    if filter_:
        module, text = filter_
        cache = os.path.join(nginx.prefix, "cache")
        os.makedirs(cache, mode=0o700, exist_ok=True)
        main = f"load_module {MODULE};\nwasm {{ cache_dir {cache}; module slow {os.path.join(ROOT, 'build/guests', module)}; }}\n"
        http = f"    wasm_timeout {TIMEOUT};\n"
        waf = f"        location /filtered {{ proxy_wasm slow {quoted(text)}; return 200 filtered; }}\n"
    nginx.write(main, http, f"{waf}        location /beside {{ return 200 beside; }}\n")


def reload(nginx):
    """Until there are the new workers alone. Answers when it began, and when it was over."""
    old = {str(pid) for pid in nginx.current_workers()}
    begin = time.monotonic()
    nginx.reload()

    def is_over():
        now = {str(pid) for pid in nginx.current_workers()}
        return len(now) == nginx.workers and not now & old

    until(is_over, nginx.name)
    return begin, time.monotonic()


def longest(taken, begin, end):
    """Of requests that were under way between both times, in milliseconds."""
    return max((time for start, time in taken if start < end and start + time > begin), default=0) * 1000


def measure(name, filter_, reloads, clients):
    nginx = Nginx("reload", free_ports(1)[0], workers=2)
    configure(nginx, filter_)
    nginx.start(patience=300)
    # The port is open before the workers have started their filters.
    until(lambda: answers(nginx.port, "/beside") is not None, name)
    stop, results = multiprocessing.Event(), multiprocessing.Queue()
    processes = [multiprocessing.Process(target=client, args=(nginx.port, stop, results)) for _ in range(clients)]
    try:
        for process in processes:
            process.start()
        spans, quiet = [], []
        for number in range(reloads):
            print(f"{name}: reload {number + 1}", file=sys.stderr)
            spans.append(reload(nginx))
            begin, end = spans[-1]
            time.sleep(end - begin)
            quiet.append((end, time.monotonic()))
        stop.set()
        measured = [results.get() for _ in processes]
    finally:
        stop.set()
        for process in processes:
            process.join()
        nginx.stop()
    taken = [request for one, _ in measured for request in one]
    failed = sum(count for _, count in measured)
    if failed:
        sys.exit(f"{name}: {failed} of {len(taken)} requests failed")
    lasted = statistics.median(end - begin for begin, end in spans) * 1000
    return lasted, [longest(taken, *span) for span in spans], [longest(taken, *span) for span in quiet], len(taken)


def main():
    parser = argparse.ArgumentParser(prog="bench/run reload", add_help=False)
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    rows = [(name, measure(name, filter_, arguments.reloads, arguments.clients)) for name, filter_ in CASES.items()]
    print(f"{os.environ['BENCH_NGINX_TITLE']}, {arguments.reloads} reloads, {arguments.clients} clients; milliseconds")
    print(f"  {'beside':<30} {'a reload':>9} {'longest request':>16} {'at most':>8} {'quiet':>8} {'at most':>8} {'requests':>9}")
    for name, (lasted, longest_, quiet, count) in rows:
        figures = (lasted, statistics.median(longest_), max(longest_), statistics.median(quiet), max(quiet))
        print("  {:<30} {:>9.0f} {:>16.1f} {:>8.1f} {:>8.1f} {:>8.1f} {:>9}".format(name, *figures, count))


main()
