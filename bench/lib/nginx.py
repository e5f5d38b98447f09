"""An nginx of the benchmarks: how one is configured, started, read and stopped.

bench/run puts these into the environment: BENCH_NGINX (the binary), BENCH_MODULE (our .so), BENCH_NGINX_MODULES (the folder of
the distribution's modules), BENCH_ROOT (the project), BENCH_PREFIX (where to work).
"""

import http.client
import os
import resource
import shutil
import signal
import socket
import stat
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

# What the upstream and `return` of a location answer.
BODY = "hello world\n"
FORMS = ("direct", "proxied")
# As many files as a process may have.
MOST_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if MOST_FILES == resource.RLIM_INFINITY:
    MOST_FILES = 2**20

TEMP_PATHS = "".join(
    f"    {name}_temp_path temp/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


class Nginx:
    """One running nginx, as a rule with one worker. `command` may wrap the binary (a profiler)."""

    def __init__(self, name, port, workers=1, connections=1024):
        self.connections = connections
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
                f"worker_rlimit_nofile {min(4 * self.connections, MOST_FILES)};\nevents {{ worker_connections {self.connections}; }}\n"
                "http {\n    access_log off;\n    default_type text/plain;\n    keepalive_requests 1000000000;\n"
                # A server that had its last slice a minute ago must not find its connections closed.
                "    keepalive_timeout 1h;\n"
                f"{TEMP_PATHS}{http}"
                f"    server {{\n        listen 127.0.0.1:{self.port};\n{server}    }}\n}}\n"
            )

    def configure_upstream(self):
        """What answers BODY; or, to `?check`, what it has got of the header that filters set."""
        self.write(
            "",
            "",
            f'        location / {{\n            if ($args = check) {{ return 200 "$http_x_hello"; }}\n'
            f'            return 200 "{escape(BODY)}";\n        }}\n',
        )

    def configure_case(self, case, upstream_port, cache=None):
        """`cache`: the folder with compiled code, if it is to be kept."""
        main = "".join(f"load_module {path};\n" for path in case.modules)
        if MODULE in case.modules:
            modules = "".join(f"    module {name} {path};\n" for name, path in case.guests)
            main += "wasm {\n" + (f"    cache_dir {cache};\n" if cache else "") + f"    {case.wasm}\n" + modules + "}\n"
        http = (
            f"    upstream other {{ server 127.0.0.1:{upstream_port}; keepalive 128; keepalive_requests 1000000000; }}\n"
            '    proxy_http_version 1.1;\n    proxy_set_header Connection "";\n'
        )
        if case.http:
            http += f"    {case.http}\n"
        http += "".join(f"    proxy_wasm {name} {quoted(text)};\n" for name, text in case.filters)
        self.write(
            main,
            http,
            f"        location /direct {{ {case.direct} }}\n"
            "        location /proxied { proxy_pass http://other; }\n"
            # For reloads: which worker it is.
            "        location = /worker { return 200 $pid; }\n",
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
            time.sleep(0.005)
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

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def url(self, form):
        return f"http://127.0.0.1:{self.port}/{form}"

    def kill(self):
        """For what has nothing to end in order: under valgrind nginx may overlook a signal, and wait for a request."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

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


def quoted(text):
    """An argument of a directive."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'" if text else ""


def get(port, path, method="GET", body=None, headers=()):
    """One request over a connection of its own: status, headers and body of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body=body or None, headers=dict(headers))
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    connection.close()
    return response.status, response.headers, text


def cache_folder():
    """Where compiled code may be kept; None where nginx would refuse the folder, since others can write to what it is in."""
    folder = os.path.join(PREFIX, "cache")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    part = folder
    while True:
        status = os.stat(part)
        others_write = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX
        if others_write or status.st_uid not in (0, os.geteuid()):
            return None
        if part == os.path.dirname(part):
            return folder
        part = os.path.dirname(part)


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
