"""Runs the same filters on the same requests in Envoy and in our nginx, and compares: what the client gets, what the
upstream gets, and what the filters are told. Prints TAP; conformance.t starts it:

    make conformance [CONFORMANCE=PATTERN or --write-docs]

PATTERN chooses cases by name, with * as wild card. What may differ is in differences/, and --write-docs makes
docs/differences.md of it.
"""

import fnmatch
import importlib
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass

import differences
from differences import DIFFERENCES
from differences.entry import fits

ROOT = os.environ["TEST_WASM_ROOT"]
FOLDER = os.path.join(ROOT, "build/t/conformance")
PAGE = os.path.join(ROOT, "docs/differences.md")
SUBJECTS = (
    "sdk",
    "headers",
    "statuses",
    "local_responses",
    "bodies",
    "waiting",
    "chains",
    "protocols",
    "properties",
    "starts",
    "calls",
)


@dataclass
class Certificates:
    authority: str
    server: tuple
    client: tuple


def installed(group):
    """Where tools/install.sh says that it has put what this group has."""
    try:
        return subprocess.run(
            [os.path.join(ROOT, "tools/install.sh"), group], stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip()
    except subprocess.CalledProcessError:
        print(f"1..0 # SKIP tools/install.sh {group} failed (its output says why)")
        # make conformance must not take that for a success.
        sys.exit(1 if os.environ.get("CONFORMANCE_REQUIRED") else 0)


def certificates():
    """An authority of our own, and what it has signed."""

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *arguments], check=True, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    folder = os.path.join(FOLDER, "certificates")
    os.makedirs(folder, exist_ok=True)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=Test authority")
    for name, subject, alternatives in (
        ("server", "/O=Test/CN=test.example", "DNS:test.example,DNS:other.example,URI:spiffe://test/server"),
        ("client", "/O=Test/OU=Clients/CN=client", "DNS:client.example,URI:spiffe://test/client"),
    ):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", subject)
        with open(os.path.join(folder, f"{name}.ext"), "w") as out:
            out.write(f"subjectAltName={alternatives}\n")
        openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            f"{name}.ext",
            "-out",
            f"{name}.pem",
        )
    path = {
        name: os.path.join(folder, name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    }
    return Certificates(
        path["ca.pem"], (path["server.pem"], path["server.key"]), (path["client.pem"], path["client.key"])
    )


class Suite:
    def __init__(self, patterns):
        envoy_binary = installed("envoy")
        sys.path.insert(0, installed("h2"))
        # These need h2.
        import cases
        from servers import Envoy, Nginx
        from traces import Log
        from upstream import Http2Connection, Upstream

        os.makedirs(FOLDER, exist_ok=True)
        self.certificates = certificates()
        self.cases, listeners = [], dict(cases.LISTENERS)
        for subject in SUBJECTS:
            module = importlib.import_module(f"cases.{subject}")
            self.cases += module.CASES
            listeners.update(getattr(module, "LISTENERS", {}))
        self.all = not patterns
        if patterns:
            self.cases = [case for case in self.cases if any(fnmatch.fnmatchcase(case.name, p) for p in patterns)]
        twice = {case.name for case in self.cases if sum(other.name == case.name for other in self.cases) > 1}
        assert not twice, f"several cases have the same name: {twice}"
        used = {case.listener for case in self.cases}
        listeners = {name: listener for name, listener in listeners.items() if name in used}
        self.listeners = listeners
        self.upstreams = {"h1": Upstream(), "h2": Upstream(Http2Connection)}
        ports = {name: upstream.port for name, upstream in self.upstreams.items()}
        # Nobody listens there, and nobody else gets the port.
        self.dead = socket.socket()
        self.dead.bind(("127.0.0.1", 0))
        ports["dead"] = self.dead.getsockname()[1]
        self.envoy = Envoy(envoy_binary, FOLDER, listeners, ports, self.certificates)
        self.nginx = Nginx(
            os.environ["TEST_NGINX_BINARY"],
            os.environ["TEST_NGINX_LOAD_MODULES"].split(),
            FOLDER,
            listeners,
            ports,
            self.certificates,
        )
        self.logs = {server: Log(server.log) for server in (self.envoy, self.nginx)}
        self.used = set()
        self.test = 0
        self.failed = 0

    def run(self):
        try:
            self.envoy.start()
            self.nginx.start()
            for case in self.cases:
                self.check(case)
        finally:
            self.envoy.stop()
            self.nginx.stop()

    def exchange(self, server, case):
        import clients
        from comparison import aspects

        log = self.logs[server]
        if case.request is None:
            return aspects([], [], log.start(case.listener), 0)
        port = server.ports[case.listener, case.protocol]
        log.begin()

        def pace(callback):
            def wait(number):
                if callback:
                    log.wait_for(lambda: log.count(f"> {callback} ") >= number, f"{callback} number {number}")

            return wait

        for upstream in self.upstreams.values():
            upstream.begin(pace(case.paced[1]))
        tls = None
        if self.listeners[case.listener].tls:
            tls = clients.Tls(self.certificates.authority, self.certificates.client if case.certified else None)
        try:
            responses = clients.exchange(case.protocol, port, case.request, tls, pace(case.paced[0]))
            log.wait_for_end(server.has_ended)
        except ConnectionError:
            responses = []
        if server.has_ended():
            server.start()
            log.lines = [("server", "> crashed")]
        seen = [request for upstream in self.upstreams.values() for request in upstream.seen]
        return aspects(responses, seen, log.lines, port)

    def check(self, case):
        there, here = (self.exchange(server, case) for server in (self.envoy, self.nginx))
        unlisted = []
        for what, value in case.expect.items():
            # Ours is compared with it below.
            if there.get(what) != value:
                unlisted.append(
                    f"{what} should be {show(value)}, and is {show(there.get(what))} in Envoy: the case is wrong"
                )
        for what in sorted(there.keys() | here.keys()):
            if case.races and "upstream" in what:
                continue
            values = there.get(what), here.get(what)
            for value in values:
                if value == "unknown statement":
                    unlisted.append(f"{what}: unknown statement")
            if values[0] != values[1] and not self.is_listed(case.name, what, there, here):
                unlisted.append(f"{what}: Envoy {show(values[0])}, here {show(values[1])}")
        self.report(not unlisted, case.name, unlisted)

    def is_listed(self, name, what, there, here):
        found = False
        for n, difference in enumerate(DIFFERENCES):
            for m, (cases, aspects, envoy, nginx) in enumerate(difference.rules):
                if (
                    fnmatch.fnmatchcase(name, cases)
                    and fnmatch.fnmatchcase(what, aspects)
                    and fits(envoy, there.get(what), there)
                    and fits(nginx, here.get(what), here)
                ):
                    self.used.add((n, m))
                    found = True
        return found

    def report(self, is_fine, name, lines=()):
        self.test += 1
        self.failed += not is_fine
        print(f"{'ok' if is_fine else 'not ok'} {self.test} - {name}", flush=True)
        if not is_fine:
            # To where the harness shows it.
            print("\n".join([f"# not ok: {name}", *(f"#   {line}" for line in lines)]), file=sys.stderr, flush=True)

    def check_table(self):
        for n, difference in enumerate(DIFFERENCES):
            for m, (cases, aspects, *_) in enumerate(difference.rules):
                self.report((n, m) in self.used, f"still differs: {cases}: {aspects}: {difference.what}")
        with open(PAGE) as page:
            self.report(
                page.read() == differences.page(self.envoy_version()),
                "docs/differences.md is made of the table",
                ["run: make conformance CONFORMANCE=--write-docs"],
            )

    def envoy_version(self):
        return os.path.basename(os.path.dirname(os.path.dirname(os.path.dirname(self.envoy.binary))))


def show(value):
    text = json.dumps(value)
    return text if len(text) <= 300 else text[:300] + "..."


def main():
    arguments = sys.argv[1:]
    writes = "--write-docs" in arguments
    suite = Suite([argument for argument in arguments if argument != "--write-docs"])
    if writes:
        with open(PAGE, "w") as page:
            page.write(differences.page(suite.envoy_version()))
    from servers import Failure

    try:
        suite.run()
    except (Failure, OSError) as failure:
        print("Bail out!", str(failure).replace("\n", "\n# "))
        sys.exit(1)
    if suite.all:
        suite.check_table()
    print(f"1..{suite.test}", flush=True)
    print(
        f"# {len(suite.cases)} cases, {len(DIFFERENCES)} differences listed, {suite.failed} failures", file=sys.stderr
    )
    sys.exit(1 if suite.failed else 0)


if __name__ == "__main__":
    main()
