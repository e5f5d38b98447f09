"""An Envoy of the benchmarks: a case of cases.py with the same guests, one worker thread, and the same answers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from nginx import BODY, PREFIX, ROOT, get

sys.path.append(os.path.join(ROOT, "t/60-conformance"))
from for_envoy import for_envoy  # noqa: E402

BINARY = os.environ.get("BENCH_ENVOY", "")
TYPES = "type.googleapis.com/envoy.extensions"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def compiled(path, folder):
    """The path of the guest as .wasm: Envoy does not read the text format."""
    if not path.endswith(".wat"):
        return for_envoy(path, folder)
    out = os.path.join(folder, os.path.basename(path).removesuffix(".wat") + ".wasm")
    result = subprocess.run(["wat2wasm", path, "-o", out], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"wat2wasm: {result.stderr}")
    return out


class Envoy:
    """One running Envoy."""

    def __init__(self, name, port):
        self.name = name
        self.port = port
        self.prefix = os.path.join(PREFIX, name)
        self.process = None
        self.pid = None
        shutil.rmtree(self.prefix, ignore_errors=True)
        os.makedirs(self.prefix)

    def configure_case(self, case, upstream_port, cache=None):
        paths = {name: compiled(path, self.prefix) for name, path in case.guests}
        filters = [self.wasm(case.name, paths[name], text) for name, text in case.filters]
        router = {"@type": f"{TYPES}.filters.http.router.v3.Router", "suppress_envoy_headers": True}
        answer = {"status": 200, "body": {"inline_string": BODY}}
        manager = {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "http",
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": [
                            {"match": {"prefix": "/direct"}, "direct_response": answer},
                            {"match": {"prefix": "/"}, "route": {"cluster": "other", "timeout": "0s"}},
                        ],
                    }
                ]
            },
            "http_filters": [
                *({"name": f"wasm{number}", "typed_config": one} for number, one in enumerate(filters)),
                {"name": "router", "typed_config": router},
            ],
        }
        listener = {
            "name": "http",
            "address": address(self.port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }
        cluster = {
            "name": "other",
            "type": "STATIC",
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": "other",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream_port)}}]}],
            },
        }
        with open(os.path.join(self.prefix, "envoy.json"), "w") as out:
            json.dump({"static_resources": {"listeners": [listener], "clusters": [cluster]}}, out, indent=1)

    @staticmethod
    def wasm(vm, path, configuration):
        return {
            "@type": f"{TYPES}.filters.http.wasm.v3.Wasm",
            "config": {
                "name": os.path.basename(path),
                "vm_config": {
                    "vm_id": vm,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": path}},
                },
                "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration},
            },
        }

    def start(self, patience=120):
        command = [BINARY, "-c", os.path.join(self.prefix, "envoy.json"), "--concurrency", "1", "--disable-hot-restart"]
        with open(os.path.join(self.prefix, "output"), "w") as output:
            self.process = subprocess.Popen(
                [*command, "--log-level", "warning"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self.prefix,
            )
        self.pid = self.process.pid
        end = time.monotonic() + patience
        while time.monotonic() < end and self.process.poll() is None:
            try:
                get(self.port, "/direct")
                return
            except OSError:
                time.sleep(0.02)
        self.stop()
        with open(os.path.join(self.prefix, "output"), errors="replace") as output:
            raise OSError(f"{self.name} does not start:\n{output.read()[-2000:]}")

    def url(self, form):
        return f"http://127.0.0.1:{self.port}/{form}"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def errors(self):
        """Lines from level error on."""
        with open(os.path.join(self.prefix, "output"), errors="replace") as log:
            return [line.rstrip("\n") for line in log if "[error]" in line or "[critical]" in line]
