"""The nginx servers of the benchmarks: what is configured in each case, and how one is started, read and stopped.

bench/run puts these into the environment: BENCH_NGINX (the binary), BENCH_NGINX_KIND, BENCH_MODULE (our .so),
BENCH_NGINX_MODULES (the folder of the distribution's modules), BENCH_ROOT (the project), BENCH_PREFIX (where to work).
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = os.environ["BENCH_ROOT"]
PREFIX = os.environ["BENCH_PREFIX"]
BINARY = os.environ["BENCH_NGINX"]
MODULE = os.environ["BENCH_MODULE"]
LUA_MODULES = [
    os.path.join(os.environ.get("BENCH_NGINX_MODULES", ""), name)
    for name in ("ndk_http_module.so", "ngx_http_lua_module.so")
]

# The header that every case with a filter adds to the response.
NAME, VALUE = "x-hello", "world"
BODY = "hello world\n"
FORMS = ("direct", "proxied")


class Case:
    """One configuration to be measured."""

    def __init__(self, name, explanation, modules=(), guests=(), filters=(), http="", headers=1):
        self.name = name
        self.explanation = explanation
        self.modules = list(modules)  # for load_module
        self.guests = list(guests)  # (name, path)
        self.filters = list(filters)  # proxy_wasm arguments
        self.http = http  # directives in http {}
        self.headers = headers  # how many x-hello headers the response must have

    def missing(self):
        """What this case needs and this machine does not have; empty when all is there."""
        files = self.modules + [path for _, path in self.guests]
        return [path for path in files if not os.path.exists(path)]


def guest(language):
    return (f"{language}-headers", os.path.join(ROOT, "build/guests", f"{language}-headers.wasm"))


def sdk_case(name, explanation, *languages, http=""):
    return Case(
        name,
        explanation,
        modules=[MODULE],
        guests=[guest(language) for language in languages],
        filters=[f"{language}-headers 'response.add {NAME} {VALUE}'" for language in languages],
        http=http,
        headers=len(languages),
    )


OWN_INSTANCES = "proxy_wasm_isolation request;"


def large_case(name, explanation, http=""):
    return Case(
        name,
        explanation,
        modules=[MODULE],
        guests=[("large", os.path.join(ROOT, "build/guests/rust-large.wasm"))],
        filters=[f"large 'add {NAME} {VALUE}'"],
        http=http,
    )


def cases():
    """All cases; the first one is what the others are compared with."""
    return [
        Case("plain", "nginx alone", headers=0),
        Case("loaded", "our module is loaded and not used", modules=[MODULE], headers=0),
        Case(
            "lua",
            "header_filter_by_lua_block adds the header",
            modules=LUA_MODULES,
            http=f'header_filter_by_lua_block {{ ngx.header["{NAME}"] = "{VALUE}" }}',
        ),
        Case(
            "wat",
            "a filter written by hand adds it",
            modules=[MODULE],
            guests=[("add-header", os.path.join(ROOT, "bench/guests/add-header.wat"))],
            filters=["add-header"],
        ),
        sdk_case("rust", "a filter with the Rust SDK adds it", "rust"),
        sdk_case("rust-request", "the same, each request with an instance of its own", "rust", http=OWN_INSTANCES),
        large_case("large", "a filter of 1 MiB with the Rust SDK adds it"),
        large_case("large-request", "the same, each request with an instance of its own", http=OWN_INSTANCES),
        sdk_case("rust-fuel", "the Rust filter, with a budget", "rust", http="wasm_fuel 1000000000;"),
        sdk_case("go", "a filter with the Go SDK adds it", "go"),
        sdk_case("assemblyscript", "a filter with the AssemblyScript SDK adds it", "assemblyscript"),
        sdk_case("rust+go", "two filters in a chain, each adds it once", "rust", "go"),
    ]


def usable(chosen):
    """The cases without those that cannot run here; says which."""
    here = []
    for case in chosen:
        missing = case.missing()
        if missing:
            print(f"left out: {case.name}, there is no {' '.join(missing)}", file=sys.stderr)
        else:
            here.append(case)
    return here


def find_case(name):
    for case in cases():
        if case.name == name:
            if case.missing():
                sys.exit(f"case {name} cannot run here, there is no {' '.join(case.missing())}")
            return case
    sys.exit(f"there is no case '{name}'; there are {', '.join(case.name for case in cases())}")


def free_ports(count):
    """Ports on the loopback address that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


TEMP_PATHS = "".join(
    f"    {name}_temp_path temp/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Nginx:
    """One running nginx, as a rule with one worker. `command` may wrap the binary (a profiler)."""

    def __init__(self, name, port, workers=1):
        self.name = name
        self.port = port
        self.workers = workers
        self.prefix = os.path.join(PREFIX, name)
        self.process = None
        self.pid = None  # the worker
        shutil.rmtree(self.prefix, ignore_errors=True)
        os.makedirs(os.path.join(self.prefix, "temp"))

    def write(self, main, http, server):
        user = "user root;\n" if os.geteuid() == 0 else ""
        with open(os.path.join(self.prefix, "nginx.conf"), "w") as out:
            out.write(
                f"{main}{user}worker_processes {self.workers};\npid nginx.pid;\nerror_log error.log warn;\n"
                "worker_rlimit_nofile 4096;\nevents { worker_connections 1024; }\n"
                "http {\n    access_log off;\n    default_type text/plain;\n    keepalive_requests 1000000000;\n"
                f"{TEMP_PATHS}{http}"
                f"    server {{\n        listen 127.0.0.1:{self.port};\n{server}    }}\n}}\n"
            )

    def configure_upstream(self):
        self.write("", "", f'        location / {{ return 200 "{escape(BODY)}"; }}\n')

    def configure_case(self, case, upstream_port):
        main = "".join(f"load_module {path};\n" for path in case.modules)
        if case.guests:
            main += "wasm {\n" + "".join(f"    module {name} {path};\n" for name, path in case.guests) + "}\n"
        http = (
            f"    upstream other {{ server 127.0.0.1:{upstream_port}; keepalive 128; keepalive_requests 1000000000; }}\n"
            '    proxy_http_version 1.1;\n    proxy_set_header Connection "";\n'
        )
        if case.http:
            http += f"    {case.http}\n"
        http += "".join(f"    proxy_wasm {arguments};\n" for arguments in case.filters)
        self.write(
            main,
            http,
            f'        location /direct {{ return 200 "{escape(BODY)}"; }}\n'
            "        location /proxied { proxy_pass http://other; }\n",
        )

    def command(self, *arguments):
        return [BINARY, "-p", self.prefix + "/", "-c", os.path.join(self.prefix, "nginx.conf"), "-e", "stderr", *arguments]

    def start(self, wrapper=(), single_process=False, patience=60):
        directives = "daemon off;" + (" master_process off;" if single_process else "")
        with open(os.path.join(self.prefix, "output"), "w") as output:
            self.process = subprocess.Popen(
                [*wrapper, *self.command("-g", directives)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.prefix,
            )
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            if self.answers():
                if single_process:
                    self.pid = self.process.pid
                elif self.workers == 1:
                    self.pid = worker_of(self.process.pid)
                return
            time.sleep(0.05)
        self.stop()
        with open(os.path.join(self.prefix, "output")) as output:
            sys.exit(f"{self.name}: nginx did not start:\n{output.read()}")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def current_worker(self):
        return worker_of(self.process.pid)

    def current_workers(self):
        return workers_of(self.process.pid)

    def url(self, form):
        return f"http://127.0.0.1:{self.port}/{form}"

    def check(self, case):
        """Fails unless responses are what the case is about."""
        for form in FORMS:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            connection.request("GET", f"/{form}")
            response = connection.getresponse()
            body = response.read().decode()
            connection.close()
            headers = response.headers.get_all(NAME, [])
            if response.status != 200 or body != BODY or headers != [VALUE] * case.headers:
                sys.exit(f"{self.name}, {form}: not the response expected: {response.status} {headers} {body!r}")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def errors(self):
        """Lines of the error log, from level warn on."""
        try:
            with open(os.path.join(self.prefix, "error.log"), errors="replace") as log:
                return [line.rstrip("\n") for line in log if not any(mark in line for mark in ("[notice]", "[info]"))]
        except FileNotFoundError:
            return []


def escape(text):
    return text.replace("\n", "\\n")


def workers_of(master):
    with open(f"/proc/{master}/task/{master}/children") as children:
        return [int(pid) for pid in children.read().split()]


def worker_of(master):
    # Ports are open some moments before there are workers.
    for _ in range(500):
        pids = workers_of(master)
        if pids:
            break
        time.sleep(0.02)
    if len(pids) != 1:
        sys.exit(f"expected one worker of nginx, found {len(pids)}")
    return pids[0]


def cpu_ns(pid):
    """Nanoseconds that all threads of a process have been on a CPU: user and system time."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total


def memory_kib(pid):
    """Resident memory of a process, and the part of it that it shares with nobody."""
    sizes = {}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            words = line.split()
            if words[0].endswith(":") and words[-1] == "kB":
                sizes[words[0][:-1]] = int(words[1])
    return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


class Wrk:
    """One run of wrk: how many requests it got answers to, and what went wrong."""

    def __init__(self, url, connections, seconds):
        result = subprocess.run(
            ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if result.returncode != 0:
            sys.exit(f"wrk failed:\n{result.stdout}")
        self.output = result.stdout
        self.requests = 0
        self.problems = []
        for line in result.stdout.splitlines():
            words = line.split()
            if " requests in " in line:
                self.requests = int(words[0])
            if line.lstrip().startswith("Non-2xx"):
                self.problems.append(line.strip())
            if line.lstrip().startswith("Socket errors:"):
                self.problems.append(line.strip())
