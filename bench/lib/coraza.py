"""What the Coraza WAF with the core rule set costs: how long nginx takes to start, memory of the worker, and CPU of the
worker for one request of several kinds, beside nginx without it.

  bench/run coraza [installed | vendored | /path/to/configured/objs] [--milliseconds N]

  --milliseconds   how long each kind of request is sent, in CPU time of the worker (default 1000)

One connection, one request after the other; requests go to an upstream, which answers 12 bytes. CPU is time that the
worker was on a processor.
"""

import argparse
import http.client
import json
import os
import resource
import statistics
import subprocess
import sys

from nginx import MODULE, ROOT, Nginx, quoted
from processes import cpu_ns, free_ports, memory_kib

# As docs/coraza.md has it.
DIRECTIVES = ["Include @recommended-conf", "SecRuleEngine On", "Include @crs-setup-conf", "Include @owasp_crs/*.conf"]
# Long, so that the cost of long bodies can be seen.
TIMEOUT = "60s"

FORM = {"content-type": "application/x-www-form-urlencoded"}
JSON = {"content-type": "application/json"}
WORDS = "the quick brown fox jumps over a lazy dog while nobody looks at it from the other side of the road "


def text(size):
    """Words, as many bytes of them."""
    return (WORDS * (size // len(WORDS) + 1))[:size]


def requests():
    """Name, method, target, headers, body, and the status that must come."""
    yield "GET", "GET", "/page?id=17&name=nobody", {}, None, 200
    yield "GET with SQL injection", "GET", "/page?id=1%27%20OR%20%271%27=%271", {}, None, 403
    yield "POST form, 20 bytes", "POST", "/form", FORM, "name=nobody&value=17", 200
    yield "POST JSON, 28 bytes", "POST", "/json", JSON, '{"name": "nobody", "id": 17}', 200
    for size in (1, 4, 16, 64):
        body = "text=" + text(size * 1024 - 5).replace(" ", "+")
        yield f"POST form, {size} KiB", "POST", "/form", FORM, body, 200


class Client:
    """One connection."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)

    def send(self, method, target, headers, body):
        fields = {"user-agent": "bench/1.0", "accept": "*/*", **headers}
        self.connection.request(method, target, body=body, headers=fields)
        response = self.connection.getresponse()
        response.read()
        return response.status


def per_request(nginx, milliseconds, method, target, headers, body, wanted):
    """Nanoseconds of the worker's CPU for one request: the median and the most; and how many were sent."""
    client = Client(nginx.port)
    costs = []
    while len(costs) < 5 or (sum(costs) < milliseconds * 1_000_000 and len(costs) < 20_000):
        before = cpu_ns(nginx.pid)
        status = client.send(method, target, headers, body)
        costs.append(cpu_ns(nginx.pid) - before)
        if status != wanted:
            sys.exit(f"{nginx.name}: {method} {target} was answered {status}, not {wanted}; see {nginx.prefix}/error.log")
    return statistics.median(costs), max(costs), len(costs)


def configure(nginx, upstream_port, waf):
    main = http_part = filters = ""
    if waf:
        main = f"load_module {MODULE};\nwasm {{ module coraza {os.path.join(ROOT, 'build/guests/coraza.wasm')}; }}\n"
        http_part = f"    wasm_timeout {TIMEOUT};\n"
        configuration = {"directives_map": {"default": DIRECTIVES}, "default_directives": "default"}
        filters = f"        proxy_wasm coraza {quoted(json.dumps(configuration))};\n"
    http_part += (
        f"    upstream other {{ server 127.0.0.1:{upstream_port}; keepalive 16; }}\n"
        '    proxy_http_version 1.1;\n    proxy_set_header Connection "";\n    client_body_buffer_size 256k;\n'
    )
    nginx.write(main, http_part, f"{filters}        location / {{ proxy_pass http://other; }}\n")


def check_seconds(nginx):
    """CPU of `nginx -t`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(nginx.command("-t"), capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"nginx -t: {result.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(prog="bench/run coraza", add_help=False)
    parser.add_argument("--milliseconds", type=int, default=1000)
    arguments = parser.parse_args()

    ports = free_ports(3)
    upstream = Nginx("coraza-upstream", ports[0])
    plain, waf = Nginx("coraza-plain", ports[1]), Nginx("coraza", ports[2])
    upstream.configure_upstream()
    configure(plain, upstream.port, False)
    configure(waf, upstream.port, True)
    rows = []
    try:
        upstream.start()
        plain.start()
        started = check_seconds(waf)
        waf.start(patience=300)
        # The first answer comes when the instance is there.
        Client(waf.port).send("GET", "/", {}, None)
        begun, fresh = cpu_ns(waf.pid), memory_kib(waf.pid)
        for name, *request, wanted in requests():
            bare, _, _ = per_request(plain, arguments.milliseconds / 4, *request, 200)
            rows.append((name, bare, *per_request(waf, arguments.milliseconds, *request, wanted)))
        used = memory_kib(waf.pid)
    finally:
        for nginx in (waf, plain, upstream):
            nginx.stop()

    size = os.path.getsize(os.path.join(ROOT, "build/guests/coraza.wasm")) >> 20
    print(f"{os.environ['BENCH_NGINX_TITLE']}, {size} MiB of module")
    print(f"  nginx -t                       {started:10.1f} s of CPU")
    print(f"  a worker's start, 1st request  {begun / 1e9:10.1f} s of CPU")
    print(f"  private memory of the worker   {fresh[1] / 1024:10.0f} MiB at first, {used[1] / 1024:.0f} MiB at the end "
          f"(RSS {fresh[0] / 1024:.0f}, {used[0] / 1024:.0f})")
    print(f"  CPU of the worker, ms a request{'plain':>10} {'with WAF':>10} {'at most':>10} {'requests':>10}")
    for name, bare, cost, most, count in rows:
        print(f"    {name:<28} {bare / 1e6:>10.3f} {cost / 1e6:>10.2f} {most / 1e6:>10.2f} {count:>10}")


if __name__ == "__main__":
    main()
