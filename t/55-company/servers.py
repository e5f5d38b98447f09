"""nginx with all the cases' servers, and the process of upstreams."""

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import bodies
import deeds
import lua
import media

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "../lib"))

import engine  # noqa: E402
from free_ports import free_ports  # noqa: E402


class Failure(Exception):
    """A server does not start, or does not answer."""


def patience():
    return int(os.environ.get("TEST_NGINX_TIMEOUT", "20"))


class Upstreams:
    def __init__(self, folder_of_h2):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "upstreams.py"), folder_of_h2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports = json.loads(self.process.stdout.readline())

    def seen(self):
        self.process.stdin.write("seen\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(patience())


GATEWAY_PARAMS = """
{kind}_param REQUEST_METHOD $request_method;
{kind}_param REQUEST_URI $request_uri;
{kind}_param QUERY_STRING $query_string;
{kind}_param CONTENT_LENGTH $content_length;
{kind}_param CONTENT_TYPE $content_type;
"""


class Nginx:
    def __init__(self, folder, binary, modules, upstreams, guest, cases, log_level):
        self.folder, self.binary, self.modules = folder, binary, modules
        self.guest, self.log_level = guest, log_level
        self.ports = dict(zip(("plain", "tls", "h2c"), free_ports(3)))
        # Nobody listens there, and nobody else gets the port.
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        self.log = os.path.join(folder, "error.log")
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("www/main", "www/none", "www/zipped", "www/alone", *(f"www/{kind}" for kind in media.KINDS), "temp/dav", "temp/store", "temp/cache"):
            os.makedirs(os.path.join(folder, name))
        # Workers have another user when the tests are run by root, unless nginx is told not to.
        self.user = "user root;\n" if os.geteuid() == 0 else ""
        self.files()
        self.words = {
            "@WWW@": os.path.join(folder, "www"),
            "@TEMP@": os.path.join(folder, "temp"),
            "@DEAD@": f"127.0.0.1:{self.dead.getsockname()[1]}",
            **{f"@{kind.upper()}@": f"127.0.0.1:{port}" for kind, port in upstreams.items()},
            **{f"@{kind.upper()}_PARAMS@": os.path.join(folder, f"{kind}_params") for kind in ("fastcgi", "uwsgi", "scgi")},
        }
        with open(os.path.join(folder, "nginx.conf"), "w") as out:
            out.write(engine.choose(self.configuration(cases)))
        self.process = None

    def files(self):
        def write(name, content):
            with open(os.path.join(self.folder, name), "wb") as out:
                out.write(content)
            # In the past, so that nothing depends on when a test began.
            os.utime(os.path.join(self.folder, name), (1e9, 1e9))

        for content in bodies.CONTENTS:
            write(f"www/main/{content}", bodies.text(content))
            write(f"www/zipped/{content}.gz", bodies.zipped(content))
        for kind, make in media.KINDS.items():
            for content in ("small", "large"):
                write(f"www/{kind}/{content}", make(content))
        write("www/xml.xslt", media.STYLESHEET)
        write("www/alone/one", bodies.text("small"))
        write("company.lua", lua.MODULE.replace("@GUEST@", self.guest).encode())
        write("www/users", b"user:{PLAIN}pass\n")
        write("www/nobody", b"nobody:{PLAIN}x\n")
        os.utime(os.path.join(self.folder, "www/main"), (1e9, 1e9))
        for kind in ("fastcgi", "uwsgi", "scgi"):
            write(f"{kind}_params", GATEWAY_PARAMS.format(kind=kind).encode())
        subprocess.run(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.pem "
            "-days 30 -subj /CN=company".split(),
            cwd=self.folder,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def fill(self, text, feature, deed=deeds.NONE):
        text = text.replace("@LUA@", lua.runs(deed, feature)).replace("@N@", feature.name)
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def configuration(self, cases):
        servers, used, addresses = {}, {}, {}
        for case in cases:
            if case.request.is_nameless and case.protocol == "h1":
                case.address = addresses.setdefault(case.host, "127.77.%d.%d" % divmod(len(addresses) + 1, 250))
            servers.setdefault(case.host, (case, {}))[1][case.feature.name] = case.feature
            used[case.feature.name] = case.feature
        http = "".join(self.fill(feature.http, feature) + "\n" for feature in used.values() if feature.http)
        temp = "".join(
            f"    {kind}_temp_path temp/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        blocks = [self.server("none", "", ['location = /next { return 200 "the next one\\n"; }'], True)] if "none" not in servers else []
        for host, (case, of_server) in servers.items():
            locations = [self.fill(feature.conf, feature, case.deed) for feature in of_server.values()]
            if host == "none":
                locations.append('location = /next { return 200 "the next one\\n"; }')
            around = deeds.chain(case.deed, case.setting) + "\n" + self.fill(case.feature.server, case.feature)
            if host in addresses:
                locations.insert(0, f"listen {addresses[host]}:{self.ports['plain']};")
            blocks.append(self.server(host, around, locations, host == "none"))
        return (
            "".join(f"load_module {module};\n" for module in self.modules)
            + self.user
            + "daemon off;\nworker_processes 2;\npid nginx.pid;\n"
            + f"error_log error.log {self.log_level};\nworker_rlimit_nofile 8192;\n"
            + "thread_pool default threads=2 max_queue=65536;\n"
            + "events { worker_connections 4096; }\n"
            + f"wasm {{ module company {self.guest}; }}\n"
            + "http {\n"
            + '    log_format company "$connection $case $server_name $status";\n    access_log requests.log company;\n'
            + self.lua_path()
            + "    default_type text/plain;\n    log_not_found off;\n"
            + "    server_names_hash_max_size 8192;\n    server_names_hash_bucket_size 256;\n"
            + "    variables_hash_max_size 2048;\n"
            + "    client_max_body_size 16m;\n    proxy_wasm_request_body_buffer 16m;\n"
            + "    proxy_wasm_response_body_buffer 16m;\n"
            + "    proxy_http_version 1.1;\n    proxy_set_header Connection $company_connection;\n    proxy_set_header Host company;\n"
            + "    grpc_set_header Host company;\n"
            + "    limit_req_status 503;\n"
            + "    map $request_uri $case { default 0; ~case=(?<company_case>\\d+) $company_case; }\n"
            + '    map $http_none $company_connection { default ""; }\n'
            + "    proxy_cache_path temp/cache keys_zone=company:16m inactive=1h;\n"
            + temp
            + http
            + "".join(blocks)
            + "}\n"
        )

    def lua_path(self):
        if not any("ngx_http_lua_module" in module for module in self.modules):
            return ""
        folder = os.path.join(os.environ["TEST_WASM_ROOT"], "lua")
        return f"    lua_package_path '{self.folder}/?.lua;{folder}/?.lua;;';\n"

    def server(self, host, around, locations, is_default):
        default = " default_server" if is_default else ""
        lines = [
            f"listen 127.0.0.1:{self.ports['plain']}{default};",
            f"listen 127.0.0.1:{self.ports['tls']} ssl http2{default};",
            f"listen 127.0.0.1:{self.ports['h2c']} http2{default};",
            f"server_name {host};",
            "ssl_certificate server.pem;",
            "ssl_certificate_key server.key;",
            *around.splitlines(),
            *locations,
        ]
        return "    server {\n" + "".join(f"        {line}\n" for line in lines if line.strip()) + "    }\n"

    def fragment(self, case):
        """What of the configuration a case is about."""
        around = deeds.chain(case.deed, case.setting)
        return "\n".join(filter(None, (around, case.feature.server, self.fill(case.feature.conf, case.feature, case.deed))))

    def command(self, *more):
        return [self.binary, "-p", self.folder + "/", "-c", os.path.join(self.folder, "nginx.conf"), "-e", self.log, *more]

    def start(self):
        with open(os.path.join(self.folder, "output"), "w") as output:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
            )
        self.wait_for(lambda: len(self.workers()) == 2 and self.started() >= 2, "start", 9 * patience())

    def started(self):
        """How many workers have started their filters."""
        with open(self.log, errors="replace") as log:
            return sum("filter(s) started" in line for line in log)

    def wait_for(self, condition, what, seconds=None):
        end = time.monotonic() + (seconds or patience())
        while not condition():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(self.log, errors="replace") as log, open(os.path.join(self.folder, "output")) as output:
                    lines = output.read()[-2000:] + "".join(
                        line for line in log if re.search(r"\[(emerg|alert|crit)\]", line)
                    )[-3000:]
                self.stop()
                raise Failure(f"nginx does not {what}:\n{lines}")
            time.sleep(0.02)

    def workers(self):
        try:
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
                return sorted(int(pid) for pid in children.read().split() if self.is_worker(pid))
        except OSError:
            return []

    @staticmethod
    def is_worker(pid):
        """Not one that looks after caches, nor one that is about to end."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as title:
                return title.read().rstrip(b"\0 ") == b"nginx: worker process"
        except OSError:
            return False

    def stacks(self, pids=()):
        """Where workers are, if there is a debugger."""
        if not shutil.which("gdb"):
            return ""
        found = ""
        for pid in pids or self.workers():
            shown = subprocess.run(
                ["gdb", "-p", str(pid), "-batch", "-ex", "bt 40"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            found += f"worker {pid}:\n" + "".join(line for line in shown.stdout.splitlines(True) if line.startswith("#"))
        return found

    def reload(self):
        """New workers, which take over; the old ones end."""
        old, started = self.workers(), self.started()
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 2 * patience()
        while time.monotonic() < end:
            # All that are not about to end are new ones.
            if self.started() >= started + 2 and len(set(self.workers()) - set(old)) == 2 and not self.are_there(old):
                return True
            time.sleep(0.02)
        return False

    @staticmethod
    def are_there(pids):
        return any(os.path.exists(f"/proc/{pid}/exe") for pid in pids)

    def quit(self):
        """Lets requests end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(3 * patience())
                return True
            except subprocess.TimeoutExpired:
                return False
        return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience())
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ended(self):
        """Numbers of the cases whose requests have come to their end, and the case that each connection was for."""
        numbers, connections = set(), {}
        with open(os.path.join(self.folder, "requests.log")) as log:
            for line in log:
                connection, number, *_ = line.split(" ")
                numbers.add(int(number))
                connections[connection] = int(number)
        return numbers, connections

    def lines(self):
        """Lines of the error log, from level error on: number of the case or None, level, text."""
        found = []
        connections = self.ended()[1]
        with open(self.log, errors="replace") as log:
            for line in log:
                level = re.search(r"\[(error|crit|alert|emerg)\]", line)
                if level:
                    case = re.search(r"case=(\d{6})", line)
                    connection = re.search(r"#\d+: \*(\d+) ", line)
                    number = int(case[1]) if case else connections.get(connection[1]) if connection else None
                    found.append((number, level[1], line.rstrip("\n")))
        return found
