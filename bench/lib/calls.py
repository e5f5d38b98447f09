"""Compares the CPU that a call to another service costs: a cosocket of Lua, a filter written by hand, and one with the Rust
SDK, each asking for 5 bytes by HTTP/1.1 over connections that are kept, and letting the request go on then.

  bench/run calls [installed | vendored | /path/to/configured/objs] [--rounds N] [--seconds N] [--cases NAME,NAME...]

Each round gives every case a slice of so many seconds. What is counted is the time that the worker was on a processor.
"""

import argparse
import os
import statistics
import sys
from dataclasses import dataclass, field

from load import Wrk
from nginx import LUA_MODULES, MODULE, ROOT, Nginx, get
from processes import cpu_ns, free_ports, memory_kib

CONNECTIONS = 50
# The first byte is an even number, as the Rust example wants it.
ANSWER = "2 ok\\n"


@dataclass
class Case:
    """One configuration to be measured."""

    name: str
    explanation: str
    modules: list = field(default_factory=list)  # for load_module
    guests: list = field(default_factory=list)  # (name, path)
    filters: list = field(default_factory=list)  # arguments of proxy_wasm
    http: str = ""

    def missing(self):
        files = self.modules + [path for _, path in self.guests]
        return [path for path in files if not os.path.exists(path)]


LUA_CALL = """
        local function call()
            local service = ngx.socket.tcp()
            service:settimeout(5000)
            assert(service:connect("127.0.0.1", %d))
            assert(service:send("GET /call HTTP/1.1\\r\\nHost: service\\r\\n\\r\\n"))
            local line = assert(service:receive())
            local status = line:match("^HTTP/1%%.1 (%%d+) ")
            local headers = {}
            while true do
                line = assert(service:receive())
                if line == "" then
                    break
                end
                local name, value = line:match("^([^:]+):%%s*(.-)%%s*$")
                headers[name:lower()] = value
            end
            local body = assert(service:receive(tonumber(headers["content-length"])))
            assert(service:setkeepalive(60000, 256))
            assert(status == "200" and body ~= "")
        end
"""
LUA = {
    0: "",
    1: LUA_CALL + "        call()\n",
    3: LUA_CALL
    + """
        local one, two = ngx.thread.spawn(call), ngx.thread.spawn(call)
        call()
        assert(ngx.thread.wait(one) and ngx.thread.wait(two))
""",
}


def cases(service_port):
    """Plain nginx, which the others are compared with, and everything that calls, so many times at once for a request."""
    found = [Case("plain", "nginx alone")]
    for count, code in LUA.items():
        code = code.replace("%%", "%") if "%d" not in code else code % service_port
        http = f"access_by_lua_block {{\n{code}    }}\n"
        found.append(Case(f"lua-{count}", f"cosockets in access_by_lua_block, {count} calls", modules=LUA_MODULES, http=http))
    for count in LUA:
        found.append(
            Case(
                f"wat-{count}",
                f"a filter written by hand, {count} calls",
                modules=[MODULE],
                guests=[("call", os.path.join(ROOT, "bench/guests/call.wat"))],
                filters=["call" + (f" {'x' * count}" if count else "")],
            )
        )
    found.append(
        Case(
            "rust-1",
            "a filter with the Rust SDK (example http_auth_random), 1 call",
            modules=[MODULE],
            guests=[("auth", os.path.join(ROOT, "build/guests/rust-example-http_auth_random.wasm"))],
            filters=["auth 'service /call'"],
        )
    )
    return found


def configure(nginx, case, service_port):
    main = "".join(f"load_module {path};\n" for path in case.modules)
    if case.guests:
        main += "wasm {\n" + "".join(f"    module {name} {path};\n" for name, path in case.guests) + "}\n"
    upstream = f"    upstream service {{ server 127.0.0.1:{service_port}; }}\n"
    filters = "".join(f"        proxy_wasm {arguments};\n" for arguments in case.filters)
    keep = "    wasm_call_keepalive 256;\n    wasm_call_keepalive_requests 1000000000;\n" if case.guests else ""
    nginx.write(
        main, upstream + keep, f'        location / {{\n{filters}{case.http}            empty_gif;\n        }}\n'
    )


def check(nginx):
    status, _, body = get(nginx.port, "/")
    if status != 200 or not body.startswith("GIF"):
        sys.exit(f"{nginx.name}: not the response expected: {status} {body!r}")


def slice_cost(nginx, seconds):
    """Microseconds of the worker's CPU per request."""
    before = cpu_ns(nginx.pid)
    wrk = Wrk(nginx.url(""), CONNECTIONS, seconds)
    used = cpu_ns(nginx.pid) - before
    if wrk.problems or not wrk.requests:
        sys.exit(f"{nginx.name}: {wrk.problems or 'no answers'}\n{wrk.output}")
    return used / 1000 / wrk.requests


def added(own, base):
    """The median of what rounds took more than the same rounds of another case."""
    return statistics.median(one - two for one, two in zip(own, base))


def main():
    parser = argparse.ArgumentParser(prog="bench/run calls", add_help=False)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--cases", default="")
    arguments = parser.parse_args()

    ports = free_ports(12)
    service = Nginx("service", ports[-1])
    service.write("", "", f'        location / {{ return 200 "{ANSWER}"; }}\n')
    chosen = cases(service.port)
    if arguments.cases:
        names = arguments.cases.split(",")
        known = [case.name for case in chosen]
        if unknown := [name for name in names if name not in known]:
            sys.exit(f"there is no case '{unknown[0]}'; there are {', '.join(known)}")
        chosen = [case for case in chosen if case.name in names]
    servers = []
    try:
        service.start()
        for case, port in zip(chosen, ports):
            if case.missing():
                sys.exit(f"case {case.name} cannot run here, there is no {' '.join(case.missing())}")
            nginx = Nginx(case.name, port)
            configure(nginx, case, service.port)
            nginx.start()
            check(nginx)
            servers.append(nginx)
        for nginx in servers:  # warm-up, not counted
            slice_cost(nginx, arguments.seconds)
        costs = {nginx.name: [] for nginx in servers}
        for number in range(arguments.rounds):
            for place in range(len(servers)):
                nginx = servers[(place + number) % len(servers)]
                costs[nginx.name].append(slice_cost(nginx, arguments.seconds))
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        memory = {nginx.name: memory_kib(nginx.pid) for nginx in servers}
        complaints = [(nginx.name, line) for nginx in servers for line in nginx.errors()]
    finally:
        for nginx in [*servers, service]:
            nginx.stop()

    base = costs[servers[0].name]
    print(f"{os.environ['BENCH_NGINX_TITLE']}; one worker per case, {CONNECTIONS} kept-alive connections, "
          f"median of {arguments.rounds} rounds of {arguments.seconds} s; microseconds of CPU per request")
    print(f"  {'case':<8}{'median':>9}{'least':>9}{'added':>9}{'least added':>13}{'RSS, MiB':>10}")
    for case in chosen:
        own = costs[case.name]
        print(f"  {case.name:<8}{statistics.median(own):>9.2f}{min(own):>9.2f}{added(own, base):>9.2f}"
              f"{min(own) - min(base):>13.2f}{memory[case.name][0] / 1024:>10.1f}   {case.explanation}")
    print("\nmicroseconds of CPU per call: what calls add to the same without them")
    print(f"  {'case':<8}{'median':>9}{'least':>9}")
    for kind in ("lua", "wat"):
        for count in (1, 3):
            own, without = costs.get(f"{kind}-{count}"), costs.get(f"{kind}-0")
            if own and without:
                print(f"  {kind}-{count:<4}{added(own, without) / count:>9.2f}{(min(own) - min(without)) / count:>9.2f}")
    if complaints:
        print("\nthe error logs have:")
        for name, line in complaints[:20]:
            print(f"  {name}: {line}")
        sys.exit(1)


main()
