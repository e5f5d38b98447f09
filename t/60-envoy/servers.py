"""Envoy, our nginx and the upstream behind both, and the client in front of them. All listen on the loopback address.

A scenario is a name with a guest and its configuration; each server has a port for each scenario.
"""

import http.client
import io
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time

PATIENCE = 180  # seconds; only a failure takes that long, or a machine with much else to do


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Failure(Exception):
    """A server does not start, or does not answer."""


class Process:
    """A server in the foreground, with its files in a folder of its own."""

    def __init__(self, name, folder, scenarios):
        self.name = name
        self.folder = os.path.join(folder, name)
        self.ports = dict(zip(scenarios, free_ports(len(scenarios))))
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def run(self, *command):
        with open(os.path.join(self.folder, "output"), "w") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
            )
        end = time.monotonic() + PATIENCE
        waiting = list(self.ports.values())
        while waiting:
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failure(f"{self.name} does not start:\n{self.output()[-3000:]}")
            if listens(waiting[0]):
                waiting.pop(0)
            else:
                time.sleep(0.05)

    def output(self):
        with open(os.path.join(self.folder, "output"), errors="replace") as output:
            return output.read()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


HIGRESS_MARKER = b"proxy_abi_version_0_2_100"
MARKER = b"proxy_abi_version_0_2_1"


def for_envoy(guest, folder):
    """The path of the guest, or of a copy with the only marker under which Envoy runs it: it does not know Higress's."""
    with open(guest, "rb") as module:
        content = module.read()
    sections = list(sections_of(content))
    if not any(number == 7 and HIGRESS_MARKER in body for number, body in sections):
        return guest
    path = os.path.join(folder, os.path.basename(guest))
    with open(path, "wb") as copy:
        copy.write(content[:8])
        for number, body in sections:
            if number == 7:  # exports
                old, new = (bytes([len(marker)]) + marker for marker in (HIGRESS_MARKER, MARKER))
                body = body.replace(old, new)
            copy.write(bytes([number]) + leb128(len(body)) + body)
    return path


def sections_of(module):
    """Number and content of the sections of a WebAssembly module."""
    at = 8
    while at < len(module):
        number, size, shift = module[at], 0, 0
        at += 1
        while True:
            byte = module[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield number, module[at : at + size]
        at += size


def leb128(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


class Envoy(Process):
    def __init__(self, binary, folder, scenarios, upstream_port):
        super().__init__("envoy", folder, scenarios)
        self.binary = binary
        config = {
            "static_resources": {
                "listeners": [self.listener(name, *scenario) for name, scenario in scenarios.items()],
                "clusters": [
                    {
                        "name": "upstream",
                        "type": "STATIC",
                        "connect_timeout": "5s",
                        "load_assignment": {
                            "cluster_name": "upstream",
                            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream_port)}}]}],
                        },
                    }
                ],
            }
        }
        with open(os.path.join(self.folder, "envoy.json"), "w") as out:
            json.dump(config, out, indent=1)

    def listener(self, name, guest, configuration):
        package = "type.googleapis.com/envoy.extensions.filters"
        wasm = {
            "@type": f"{package}.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "vm_config": {
                    # A VM for each scenario, as we have it: with the same id they would share one.
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": for_envoy(guest, self.folder)}},
                },
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration},
            },
        }
        route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
        manager = {
            "@type": f"{package}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "delayed_close_timeout": "0.1s",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {"name": "wasm", "typed_config": wasm},
                {"name": "router", "typed_config": {"@type": f"{package}.http.router.v3.Router"}},
            ],
        }
        return {
            "name": name,
            "address": address(self.ports[name]),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }

    def start(self):
        self.run(
            self.binary, "-c", os.path.join(self.folder, "envoy.json"),
            "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning",
        )


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Nginx(Process):
    def __init__(self, binary, modules, folder, scenarios, upstream_port):
        super().__init__("nginx", folder, scenarios)
        self.binary = binary
        guests = sorted({guest for guest, _ in scenarios.values()})
        names = {guest: os.path.basename(guest).removesuffix(".wasm") for guest in guests}
        # As Envoy does it: the upstream gets what the client sent, and Location stays as it is.
        servers = "".join(
            f"""    server {{
        listen 127.0.0.1:{self.ports[name]};
        location / {{
            proxy_wasm {names[guest]} {quoted(configuration)};
            proxy_pass http://127.0.0.1:{upstream_port};
        }}
    }}
"""
            for name, (guest, configuration) in scenarios.items()
        )
        temp = "".join(
            f"    {kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        with open(os.path.join(self.folder, "nginx.conf"), "w") as out:
            out.write(
                "".join(f"load_module {module};\n" for module in modules)
                + ("user root;\n" if os.geteuid() == 0 else "")
                + "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log info;\n"
                + "events { worker_connections 64; }\n"
                + "wasm {\n" + "".join(f"    module {names[guest]} {guest};\n" for guest in guests) + "}\n"
                + "http {\n    access_log off;\n    proxy_http_version 1.1;\n    proxy_redirect off;\n"
                + '    proxy_set_header Host $http_host;\n    proxy_set_header Connection "";\n'
                + f"{temp}{servers}}}\n"
            )

    def start(self):
        configuration = os.path.join(self.folder, "nginx.conf")
        self.run(self.binary, "-p", self.folder + "/", "-c", configuration, "-e", "stderr")


def quoted(text):
    """An argument of an nginx directive."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Upstream(socketserver.ThreadingTCPServer):
    """Answers as the request's path says, and keeps what it was sent: `seen` is a list of requests.

    /status/N answers with that status; /chunked sends its body in chunks; everything else, 200. The body of the answer
    is JSON: method, target and body of the request.
    """

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), UpstreamConnection)
        self.port = self.server_address[1]
        self.seen = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class UpstreamConnection(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline().decode("latin-1").rstrip("\r\n")
            if not line:
                return
            method, target, _ = line.split(" ", 2)
            headers = []
            while field := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
                name, value = field.split(":", 1)
                headers.append((name.lower(), value.strip()))
            body = self.body(dict(headers))
            self.server.seen.append({"method": method, "target": target, "headers": headers, "body": body})
            self.answer(method, target, body)

    def body(self, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole.decode("latin-1")
        return self.rfile.read(int(headers.get("content-length", 0))).decode("latin-1")

    def answer(self, method, target, request_body):
        path = target.split("?")[0]
        status = int(path.split("/")[2]) if path.startswith("/status/") else 200
        body = (json.dumps({"method": method, "target": target, "body": request_body}) + "\n").encode()
        fields = [
            ("Content-Type", "application/json"),
            ("X-Up-Kept", "Kept As It Is"),
            ("x-up-replaced", "old"),
            ("x-up-removed", "first"),
            ("X-Up-Removed", "second"),
            ("x-up-twice", "a"),
            ("x-up-twice", "b"),
            ("Set-Cookie", "one=1; Path=/"),
            ("Set-Cookie", "two=2"),
            ("Cache-Control", "no-store"),
            ("Cache-Control", "private"),
            ("ETag", '"tag"'),
            ("Last-Modified", "Mon, 28 Sep 1970 06:00:00 GMT"),
            ("Vary", "x-in"),
        ]
        if 300 <= status < 400:
            fields.append(("Location", "http://127.0.0.1/elsewhere?x=1"))
        if status in (204, 304):
            payload = b""
        elif path == "/chunked":
            fields.append(("Transfer-Encoding", "chunked"))
            payload = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            fields.append(("Content-Length", str(len(body))))
            payload = body
        head = f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unnamed')}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        self.wfile.write(head.encode() + (b"" if method == "HEAD" else payload))


def send(port, request):
    """Sends these bytes, and returns status, header list and body of the answer."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.sendall(request)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    if not answer:
        raise Failure(f"no answer to {request[:60]!r}")
    response = http.client.HTTPResponse(Bytes(answer), method=request.split(b" ", 1)[0].decode())
    response.begin()
    try:
        body = response.read()
    except http.client.IncompleteRead as short:
        body = short.partial + b" <incomplete>"
    return response.status, [(name.lower(), value) for name, value in response.getheaders()], body.decode("latin-1")


class Bytes:
    """What http.client asks of a socket."""

    def __init__(self, content):
        self.content = content

    def makefile(self, *_):
        return io.BytesIO(self.content)
