"""Envoy and our nginx with the same filters in front of the same upstreams. All listen on the loopback address.

Each server has a port for each listener and protocol.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))

import engine  # noqa: E402
from for_envoy import for_envoy  # noqa: E402
from free_ports import free_ports  # noqa: E402


def patience():
    """Seconds to wait for what must happen; only a failure takes that long, or a machine with much else to do."""
    return int(os.environ.get("TEST_NGINX_TIMEOUT", "20"))


@dataclass
class Listener:
    """A way into both servers: a chain of filters, and what is behind it."""

    # Guest and configuration of each filter.
    filters: list
    protocols: tuple = ("h1",)
    # The name of the upstream; None: the server answers by itself.
    upstream: str = "h1"
    # Body callbacks go on while headers are held back.
    held: bool = False
    tls: bool = False
    # A client that sends nothing for two seconds has had its time.
    short: bool = False


def is_served(port):
    """Whether a worker closes a connection there once the client has: a port listens before its filters have started,
    and what they trace then would count for the first case."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(1024):
                pass
        return True
    except OSError:
        return False


class Failure(Exception):
    """A server does not start, or does not answer."""


class Process:
    """A server in the foreground, with its files in a folder of its own."""

    def __init__(self, name, folder, keys):
        self.name = name
        self.folder = os.path.join(folder, name)
        self.ports = dict(zip(keys, free_ports(len(keys))))
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)

    def run(self, *command):
        with open(os.path.join(self.folder, "output"), "a") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.folder
            )
        end = time.monotonic() + 9 * patience()
        waiting = sorted(set(self.ports.values()))
        while waiting:
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise Failure(f"{self.name} does not start:\n{self.output()[-3000:]}")
            if is_served(waiting[0]):
                waiting.pop(0)
            else:
                time.sleep(0.05)

    def output(self):
        with open(os.path.join(self.folder, "output"), errors="replace") as output:
            return output.read()

    def has_ended(self):
        return self.process.poll() is not None

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(9 * patience())
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


FILTERS = "type.googleapis.com/envoy.extensions.filters"

class Envoy(Process):
    def __init__(self, binary, folder, listeners, upstreams, certificates):
        super().__init__("envoy", folder, list(listeners))
        self.binary = binary
        self.certificates = certificates
        self.log = os.path.join(self.folder, "output")
        config = {
            "static_resources": {
                "listeners": [self.listener(name, listener) for name, listener in listeners.items()],
                "clusters": [self.cluster(name, port) for name, port in upstreams.items()],
            }
        }
        # It knows both protocols by what the client sends first.
        self.ports = {
            (name, protocol): self.ports[name]
            for name, listener in listeners.items()
            for protocol in listener.protocols
        }
        with open(os.path.join(self.folder, "envoy.json"), "w") as out:
            json.dump(config, out, indent=1)

    def cluster(self, name, port):
        protocol = (
            {"http_protocol_options": {"enable_trailers": True}} if name == "h1" else {"http2_protocol_options": {}}
        )
        options = {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": protocol,
        }
        return {
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
            },
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}],
            },
        }

    def wasm(self, vm, listener, guest, configuration):
        return {
            "@type": f"{FILTERS}.http.wasm.v3.Wasm",
            "config": {
                "name": os.path.basename(guest).removesuffix(".wasm"),
                "root_id": "",
                "vm_config": {
                    # A VM for each listener: with the same id they would share one.
                    "vm_id": vm,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": for_envoy(guest, self.folder)}},
                },
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration},
                "allow_on_headers_stop_iteration": listener.held,
            },
        }

    def listener(self, name, listener):
        if listener.upstream:
            action = {"route": {"cluster": listener.upstream, "timeout": "0s"}}
        else:
            action = {"direct_response": {"status": 200, "body": {"inline_string": "direct\n"}}}
        filters = [
            {"name": f"wasm{number}", "typed_config": self.wasm(name, listener, *one)}
            for number, one in enumerate(listener.filters)
        ]
        router = {"@type": f"{FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True}
        manager = {
            "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": name,
            "delayed_close_timeout": "0.1s",
            "server_header_transformation": "PASS_THROUGH",
            "http_protocol_options": {"enable_trailers": True, "accept_http_10": True},
            "route_config": {
                "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}]
            },
            "http_filters": [*filters, {"name": "router", "typed_config": router}],
            "upgrade_configs": [{"upgrade_type": "websocket"}],
        }
        if listener.short:
            manager["stream_idle_timeout"] = "2s"
        chain = {"filters": [{"name": "http", "typed_config": manager}]}
        inspectors = []
        if listener.tls:
            inspector = {"@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}
            inspectors = [{"name": "tls_inspector", "typed_config": inspector}]
            chain["transport_socket"] = {
                "name": "tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {
                        "alpn_protocols": ["h2", "http/1.1"],
                        "tls_certificates": [
                            {
                                "certificate_chain": {"filename": self.certificates.server[0]},
                                "private_key": {"filename": self.certificates.server[1]},
                            }
                        ],
                        "validation_context": {"trusted_ca": {"filename": self.certificates.authority}},
                    },
                },
            }
        return {
            "name": name,
            "address": address(self.ports[name]),
            "traffic_direction": "INBOUND",
            "filter_chains": [chain],
            "listener_filters": inspectors,
        }

    def start(self):
        self.run(
            self.binary,
            "-c",
            os.path.join(self.folder, "envoy.json"),
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:info",
        )


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Nginx(Process):
    def __init__(self, binary, modules, folder, listeners, upstreams, certificates):
        keys = [(name, protocol) for name, listener in listeners.items() for protocol in listener.protocols]
        super().__init__("nginx", folder, keys)
        self.binary = binary
        self.log = os.path.join(self.folder, "error.log")
        guests = sorted({guest for listener in listeners.values() for guest, _ in listener.filters})
        self.names = {guest: os.path.basename(guest).removesuffix(".wasm") for guest in guests}
        # As Envoy does it: the upstream gets what the client sent, and Location stays as it is.
        temp = "".join(
            f"    {kind}_temp_path {kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        # For filters that call: the names of Envoy's clusters.
        blocks = "".join(
            f"    upstream {name} {{ server 127.0.0.1:{port}; }}\n" for name, port in upstreams.items()
        )
        servers = "".join(self.server(name, listener, upstreams, certificates) for name, listener in listeners.items())
        with open(os.path.join(self.folder, "nginx.conf"), "w") as out:
            out.write(
                engine.choose(
                    "".join(f"load_module {module};\n" for module in modules)
                    + ("user root;\n" if os.geteuid() == 0 else "")
                    + "daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log error.log info;\n"
                    + "events { worker_connections 512; }\n"
                    + "wasm {\n"
                    + "".join(f"    module {self.names[guest]} {guest};\n" for guest in guests)
                    + "}\n"
                    + "http {\n    access_log off;\n    # The log is how the filters tell what they see.\n    proxy_wasm_log_rate off;\n"
                    + "    proxy_http_version 1.1;\n    proxy_redirect off;\n"
                    + "    map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"
                    + "    proxy_set_header Host $http_host;\n    proxy_set_header Connection $connection_upgrade;\n"
                    + "    proxy_set_header Upgrade $http_upgrade;\n"
                    + "    grpc_set_header Host $http_host;\n"
                    + "    client_max_body_size 8m;\n    large_client_header_buffers 4 32k;\n"
                    + f"{temp}{blocks}{servers}}}\n"
                )
            )

    def server(self, name, listener, upstreams, certificates):
        lines = []
        for port in sorted({self.ports[name, protocol] for protocol in listener.protocols}):
            options = " ssl http2" if listener.tls else " http2" if port == self.ports.get((name, "h2")) else ""
            lines.append(f"listen 127.0.0.1:{port}{options};")
        if listener.tls:
            lines += [
                f"ssl_certificate {certificates.server[0]};",
                f"ssl_certificate_key {certificates.server[1]};",
                "ssl_protocols TLSv1.2 TLSv1.3;",
                f"ssl_client_certificate {certificates.authority};",
                "ssl_verify_client optional;",
            ]
        if listener.held:
            lines.append("proxy_wasm_headers_stop_iteration on;")
        if listener.short:
            lines.append("client_body_timeout 2s;")
        lines += [f"proxy_wasm {self.names[guest]} {quoted(text)};" for guest, text in listener.filters]
        if listener.upstream is None:
            action = 'default_type text/plain; return 200 "direct\n";'
        elif listener.upstream == "h2":
            action = f"grpc_pass grpc://127.0.0.1:{upstreams['h2']};"
        else:
            action = f"proxy_pass http://127.0.0.1:{upstreams[listener.upstream]};"
        body = "".join(f"        {line}\n" for line in lines)
        return f"    server {{\n{body}        location / {{ {action} }}\n    }}\n"

    def start(self):
        configuration = os.path.join(self.folder, "nginx.conf")
        self.run(self.binary, "-p", self.folder + "/", "-c", configuration, "-e", "stderr")


def quoted(text):
    """An argument of an nginx directive."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
