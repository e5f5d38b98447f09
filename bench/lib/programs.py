"""Compares what a response of a program costs: WASI programs and functions of Extism plugins in nginx, and CGI programs of the system,
behind nginx with fcgiwrap and behind Apache's mod_cgid; and the same plugin in a server of its own, with Extism's crate for Rust.

  bench/run programs [installed | vendored | /path/to/configured/objs] [--rounds N] [--seconds N] [--connections N,N...] [--cases NAME,NAME...]

Each round gives every case a slice of so many seconds, with each number of connections. What is counted is the time that
the machine's processors were busy, less that of wrk: processes of CGI have none to count them. Nothing else is to run meanwhile.
"""

import argparse
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from load import Wrk
from nginx import MODULE, PREFIX, ROOT, Nginx, get
from processes import free_ports

GUESTS = os.path.join(ROOT, "build/guests")
APP = os.path.join(ROOT, "t/guests/python")
PEER = os.path.join(ROOT, "bench/peers/extism-server")
PEER_TARGET = os.path.join(ROOT, "build/peers/extism-server")
HELLO = """#include <stdio.h>
int main(void) { fputs("Content-Type: text/plain\\n\\nhello\\n", stdout); return 0; }
"""
PEER_MODES = [
    ("plain", "Hello!", "the server around Extism's crate, without a plugin"),
    ("locked", "Hello, nginx!", "Extism's crate, one plugin behind a lock"),
    ("pool", "Hello, nginx!", "Extism's crate, its pool of plugins"),
    ("compiled", "Hello, nginx!", "Extism's crate, a new plugin for each request, compiled once"),
    ("new", "Hello, nginx!", "Extism's crate, a new plugin for each request from its file"),
]
TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass
class Case:
    """One way to answer."""

    name: str
    explanation: str
    path: str
    answer: str
    module: str = ""  # name of the guest
    location: str = ""  # of nginx
    native: list = field(default_factory=list)  # the program of the system
    apache: bool = False
    peer: str = ""  # mode of bench/peers/extism-server
    post: str = ""
    most: int = 1000  # connections: more would not have an answer each in a slice


def cases(hello):
    python = "wasm_arg /app/app.py; wasm_timeout 10s; wasm_dir %s:/app;" % APP
    app = ["/usr/bin/python3", os.path.join(APP, "app.py")]
    return [
        Case("rust", "Rust, WASI", "/rust/hello", "hello\n", "rust-program", "location /rust/ { wasm_cgi m; }"),
        Case("native", "C, fcgiwrap", "/native", "hello\n", native=[hello]),
        Case("native-apache", "C, Apache's mod_cgid", "/cgi/hello", "hello\n", native=[hello], apache=True),
        Case("function", "an Extism plugin with the Rust SDK", "/greet", "Hello, nginx!", "rust-extism",
             "location = /greet { wasm_function m greet; }", post="nginx"),
        *(Case(f"extism-{mode}", explanation, "/greet", answer, "rust-extism", peer=mode, post="nginx") for mode, answer, explanation in PEER_MODES),
        Case("python", "Python 3.12, WASI, WSGI", "/python/", "hello from Python", "python", f"location /python/ {{ wasm_cgi m; {python} }}",
             most=4),
        Case("python-snapshot", "Python 3.11, WASI, the application in a snapshot", "/python/", "hello from Python", "python-snapshot",
             "location /python/ { wasm_cgi m; wasm_snapshot on; }"),
        Case("python-file", "the same, the application in a file", "/python/", "hello from Python", "python-snapshot",
             f"location /python/ {{ wasm_cgi m; wasm_snapshot on; {python} }}"),
        Case("native-python", "the system's Python, WSGI, fcgiwrap", "/native", "hello from Python", native=app, most=4),
    ]


def build_peer():
    """Whether bench/peers/extism-server is there to be run."""
    if not shutil.which("cargo"):
        return False
    # Flags are those of the module's build.
    ours = ("RUSTFLAGS", "RUSTC_BOOTSTRAP", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR")
    print("building bench/peers/extism-server, which takes minutes the first time", file=sys.stderr)
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target-dir", PEER_TARGET]
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(command, cwd=PEER, env=environment).returncode == 0


def busy():
    """Seconds that the processors of the machine have been busy."""
    with open("/proc/stat") as stat:
        words = stat.readline().split()
    return sum(int(words[n]) for n in (1, 2, 3, 6, 7)) * TICK


def children():
    """Seconds of processes that this one has waited for: of wrk."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Server:
    """What answers one case."""

    def __init__(self, case, port):
        self.case = case
        self.port = port
        self.nginx = None
        self.others = []
        self.script = None
        if case.post:
            self.script = os.path.join(PREFIX, f"{case.name}.lua")
            with open(self.script, "w") as out:
                out.write(f'wrk.method = "POST"\nwrk.body = "{case.post}"\n')

    def start(self):
        if self.case.apache:
            return self.start_apache()
        if self.case.peer:
            return self.start_peer()
        self.nginx = Nginx(self.case.name, self.port)
        if self.case.module:
            module = os.path.join(GUESTS, self.case.module + ".wasm")
            cache = os.path.join(PREFIX, "program-cache")
            os.makedirs(cache, mode=0o700, exist_ok=True)
            main = f"load_module {MODULE};\nwasm {{ module m {module}; cache_dir {cache}; }}\n"
            self.nginx.write(main, "", self.case.location + "\n")
        else:
            sock = os.path.join(PREFIX, self.case.name + ".sock")
            if os.path.exists(sock):
                os.unlink(sock)
            wrapper = os.path.join(PREFIX, self.case.name + ".cgi")
            if len(self.case.native) == 1:
                shutil.copy(self.case.native[0], wrapper)
            else:
                with open(wrapper, "w") as out:
                    out.write("#!" + " ".join(self.case.native) + "\n")
            os.chmod(wrapper, 0o755)
            self.others.append(subprocess.Popen(["fcgiwrap", "-c", "8", "-s", f"unix:{sock}"], start_new_session=True))
            self.nginx.write("", "", f"location / {{ fastcgi_pass unix:{sock}; fastcgi_param SCRIPT_FILENAME {wrapper};\n"
                             "fastcgi_param REQUEST_METHOD $request_method; fastcgi_param QUERY_STRING $query_string;\n"
                             "fastcgi_param SERVER_PROTOCOL $server_protocol; fastcgi_param SERVER_NAME localhost;\n"
                             "fastcgi_param SERVER_PORT 80; fastcgi_param PATH_INFO /; fastcgi_param SCRIPT_NAME ''; }\n")
        self.nginx.start()

    def start_apache(self):
        prefix = os.path.join(PREFIX, "apache")
        shutil.rmtree(prefix, ignore_errors=True)
        os.makedirs(os.path.join(prefix, "cgi"))
        shutil.copy(self.case.native[0], os.path.join(prefix, "cgi/hello"))
        modules = "/usr/lib/apache2/modules/mod_%s.so"
        with open(os.path.join(prefix, "httpd.conf"), "w") as out:
            for name in ("mpm_event", "authz_core", "alias", "cgid"):
                out.write(f"LoadModule {name}_module {modules % name}\n")
            out.write(f"ServerRoot {prefix}\nServerName localhost\nPidFile {prefix}/pid\nErrorLog {prefix}/error.log\nListen 127.0.0.1:{self.port}\n"
                      f"ScriptSock {prefix}/cgid\nMaxKeepAliveRequests 0\nKeepAlive On\nUser www-data\nGroup www-data\n"
                      f"ScriptAlias /cgi/ {prefix}/cgi/\n<Directory {prefix}/cgi>\nOptions +ExecCGI\nRequire all granted\n</Directory>\n")
        part = prefix
        while part != "/":
            os.chmod(part, os.stat(part).st_mode | 0o055)
            part = os.path.dirname(part)
        self.others.append(subprocess.Popen(["/usr/sbin/apache2", "-DFOREGROUND", "-f", os.path.join(prefix, "httpd.conf")], start_new_session=True))

    def start_peer(self):
        binary = os.path.join(PEER_TARGET, "release/extism-server")
        plugin = os.path.join(GUESTS, self.case.module + ".wasm")
        # Its cache of compiled code is the one that it has by default, in another folder.
        environment = {**os.environ, "XDG_CACHE_HOME": os.path.join(PREFIX, "peer-cache")}
        self.others.append(subprocess.Popen([binary, str(self.port), self.case.peer, plugin, "greet"], env=environment, start_new_session=True))

    def check(self):
        for _ in range(200):
            try:
                status, _, body = get(self.port, self.case.path, "POST" if self.case.post else "GET", self.case.post or None)
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit(f"{self.case.name}: it does not answer")
        if status != 200 or not body.startswith(self.case.answer):
            sys.exit(f"{self.case.name}: not the response expected: {status} {body!r}")

    def slice(self, connections, seconds):
        before, of_wrk = busy(), children()
        wrk = Wrk(f"http://127.0.0.1:{self.port}{self.case.path}", min(connections, self.case.most), seconds, self.script)
        used = busy() - before - (children() - of_wrk)
        # Apache closes a connection now and then, though it is to keep them.
        problems = [problem for problem in wrk.problems if not self.case.apache or "Non-2xx" in problem]
        if problems or not wrk.requests:
            sys.exit(f"{self.case.name}: {wrk.problems or 'no answers'}\n{wrk.output}")
        return used * 1e6 / wrk.requests, wrk.per_second()

    def stop(self):
        for process in self.others:
            # With the processes that it has made: they would hold what this one writes to.
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        if self.nginx:
            self.nginx.stop()


def main():
    parser = argparse.ArgumentParser(prog="bench/run programs", add_help=False)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", default="1,50,100")
    parser.add_argument("--cases", default="")
    arguments = parser.parse_args()
    connections = [int(number) for number in arguments.connections.split(",")]

    for tool in ("cc", "fcgiwrap", "/usr/sbin/apache2"):
        if not shutil.which(tool):
            sys.exit(f"there is no {tool}; as root: tools/install.sh bench")
    os.makedirs(PREFIX, exist_ok=True)
    hello = os.path.join(PREFIX, "hello.cgi")
    subprocess.run(["cc", "-O2", "-x", "c", "-", "-o", hello], input=HELLO, text=True, check=True)
    chosen = cases(hello)
    if arguments.cases:
        names = arguments.cases.split(",")
        known = [case.name for case in chosen]
        if unknown := [name for name in names if name not in known]:
            sys.exit(f"there is no case '{unknown[0]}'; there are {', '.join(known)}")
        chosen = [case for case in chosen if case.name in names]
    if any(case.peer for case in chosen) and not build_peer():
        print("without the cases extism-*: bench/peers/extism-server cannot be built", file=sys.stderr)
        chosen = [case for case in chosen if not case.peer]

    servers = [Server(case, port) for case, port in zip(chosen, free_ports(len(chosen)))]
    figures = {}
    try:
        for server in servers:
            server.start()
            server.check()
        for server in servers:  # warm-up, not counted
            server.slice(10, 1)
        for number in range(arguments.rounds):
            for place in range(len(servers)):
                server = servers[(place + number) % len(servers)]
                for count in connections:
                    figures.setdefault((server.case.name, count), []).append(server.slice(count, arguments.seconds))
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    finally:
        for server in servers:
            server.stop()

    print(f"{os.environ['BENCH_NGINX_TITLE']}; medians of {arguments.rounds} rounds of {arguments.seconds} s; "
          "microseconds of CPU per request, requests per second")
    print(f"  {'case':<15}" + "".join(f"{f'{count} connections':>24}" for count in connections))
    for case in chosen:
        row = ""
        for count in connections:
            cpu, rate = (statistics.median(column) for column in zip(*figures[case.name, count]))
            row += f"{cpu:>12.1f}{rate:>12.0f}"
        print(f"  {case.name:<15}{row}   {case.explanation}"
              + (f" ({case.most} connections at most)" if case.most < max(connections) else ""))


main()
