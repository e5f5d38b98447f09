"""A service that answers as the request's path says, also in ways that are wrong. Peer.pm starts it for the tests of calls:

    fault.py LISTENER...

A listener is NAME=ADDRESS[,OPTION...]; ADDRESS is 127.0.0.1, ::1 or any other address, or unix:PATH. Options: `cert=FILE`
and `key=FILE` for TLS, `ca=FILE` for a client's certificate that must come, `alpn=NAME`; `reset` resets each
connection at once, `silent` accepts and never reads, `closed` does not listen (its port was free), `full` lets
nobody in: the queue of its connections is full, so that connecting to it does not end. `dns` answers queries over UDP.

Prints a line of JSON with the ports of the listeners. Then each line on its input is answered by one: `stats` by what
was counted since the start, as {NAME: {COUNTER: NUMBER}}. It ends with its input.

Paths:

    /echo              what came, in JSON: method, target, version, headers, body, trailers, connection (a number),
                       number (of the request in it), and the client's certificate
    /status/N          that status, with the body "status N" where it may have one
    /delay/MS/PATH     PATH, but later
    /body/SIZE, /chunked/SIZE       a body of that size
    /trailers/NAME=VALUE/...        "body" in chunks, and trailers
    /interim/N/PATH    an answer 1xx before the one for PATH; N may be several, with commas
    /until-close/TEXT  a body without length, which the end of the connection ends; /half-closed/TEXT: the server then
                       goes on reading
    /http10            an answer of HTTP/1.0
    /together/N/PATH   PATH, when N such requests are here
    /last              says Connection: close; /closing closes without a word
    /extra             more bytes than the answer has
    /slow/MS/N         N pieces, MS apart
    /early             an answer before the request's body was read
    /silent            none; /endless: no end of the body; /endless-headers: no end of the headers
    /headers/SIZE      a header of that size; /many-headers/N: as many
    /reset/request, /reset/headers, /reset/body, /reset/chunk       a reset there; the same with /cut: an end
    /garbage, /bad-length, /two-lengths, /bad-chunk, /bad-header, /bad-status       not HTTP; /switch: 101
"""

import collections
import json
import os
import socket
import ssl
import struct
import sys
import threading
import time

RESET = struct.pack("ii", 1, 0)


class Counters:
    def __init__(self):
        self.lock = threading.Lock()
        self.of = collections.defaultdict(collections.Counter)

    def add(self, listener, counter, by=1):
        with self.lock:
            self.of[listener][counter] += by
            return self.of[listener][counter]

    def all(self):
        with self.lock:
            return {listener: dict(counters) for listener, counters in self.of.items()}


COUNTERS = Counters()
TOGETHER = threading.Condition()
HERE = collections.Counter()


def reset(connection):
    """Closes so that the other end gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    # With TLS the socket object would say goodbye first.
    os.close(connection.detach())


class Ended(Exception):
    """The connection has ended, or is to end."""


class Connection:
    """What serves a connection."""

    def __init__(self, listener, stream, number, options):
        self.listener = listener
        self.stream = stream
        self.number = number
        self.requests = 0
        self.read = b""
        self.options = options

    def more(self):
        content = self.stream.recv(65536)
        if not content:
            raise Ended
        self.read += content

    def line(self):
        while b"\r\n" not in self.read:
            self.more()
        line, self.read = self.read.split(b"\r\n", 1)
        return line

    def bytes(self, count):
        while len(self.read) < count:
            self.more()
        content, self.read = self.read[:count], self.read[count:]
        return content

    def fields(self):
        found = []
        while line := self.line():
            name, value = line.decode("latin-1").split(":", 1)
            found.append([name, value.strip()])
        return found

    def serve(self):
        while True:
            first = self.line().decode("latin-1")
            method, target, version = first.split(" ")
            headers = self.fields()
            self.requests += 1
            request = {
                "method": method,
                "target": target,
                "version": version,
                "headers": headers,
                "connection": self.number,
                "number": self.requests,
                "trailers": [],
            }
            self.request = request
            if target == "/early":
                self.send(b"HTTP/1.1 413 Early\r\nConnection: close\r\nContent-Length: 6\r\n\r\nearly\n")
                COUNTERS.add(self.listener, "requests")
                self.stream.shutdown(socket.SHUT_WR)
                while self.stream.recv(65536):
                    pass
                raise Ended
            self.body({name.lower(): value for name, value in headers}, request)
            COUNTERS.add(self.listener, "requests")
            if isinstance(self.stream, ssl.SSLSocket):
                certificate = self.stream.getpeercert()
                request["tls"] = self.stream.version()
                request["client"] = [part for rdn in (certificate or {}).get("subject", ()) for part in rdn]
            self.answer(method, target)
            COUNTERS.add(self.listener, "answers")

    def body(self, headers, request):
        if headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.line().split(b";")[0], 16):
                body += self.bytes(size)
                self.line()
            request["trailers"] = self.fields()
        else:
            body = self.bytes(int(headers.get("content-length", 0)))
        request["body"] = body.decode("latin-1") if len(body) <= 65536 else f"{len(body)} bytes"

    def send(self, content):
        self.stream.sendall(content)

    def plain(self, body=b"", status="200 OK", headers=()):
        head = [f"HTTP/1.1 {status}", *headers]
        if not status.startswith(("204", "304")):
            head.append(f"Content-Length: {len(body)}")
        out = "\r\n".join([*head, "", ""]).encode("latin-1")
        if self.request["method"] != "HEAD" and not status.startswith(("204", "304")):
            out += body
        self.send(out)

    def chunked(self, pieces, trailers=()):
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            self.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.send(b"0\r\n" + b"".join(trailer.encode() + b"\r\n" for trailer in trailers) + b"\r\n")

    def stop(self, how):
        if how == "reset":
            reset(self.stream)
        raise Ended

    def until_it_leaves(self):
        """Reads until the other end has closed."""
        try:
            while self.stream.recv(65536):
                pass
        finally:
            COUNTERS.add(self.listener, "left")
        raise Ended

    def answer(self, method, target):
        kind, _, rest = target.split("?")[0].lstrip("/").partition("/")
        if kind == "echo":
            self.plain(json.dumps(self.request).encode(), headers=["Content-Type: application/json"])
        elif kind == "status":
            self.plain(f"status {rest}".encode(), status=f"{rest} Status")
        elif kind == "delay":
            delay, _, path = rest.partition("/")
            time.sleep(int(delay) / 1000)
            self.answer(method, "/" + path)
        elif kind == "together":
            count, _, path = rest.partition("/")
            with TOGETHER:
                HERE[path] += 1
                TOGETHER.notify_all()
                TOGETHER.wait_for(lambda: HERE[path] % int(count) == 0)
            self.answer(method, "/" + path)
        elif kind == "body":
            self.plain(b"b" * int(rest))
        elif kind == "chunked":
            size = int(rest)
            self.chunked([b"c" * min(10000, size - at) for at in range(0, size, 10000)])
        elif kind == "trailers":
            self.chunked([b"bo", b"dy"], [trailer.replace("=", ": ") for trailer in rest.split("/") if trailer])
        elif kind == "interim":
            codes, _, path = rest.partition("/")
            for code in codes.split(","):
                self.send(f"HTTP/1.1 {code} Interim\r\nX-Interim: {code}\r\n\r\n".encode())
            self.answer(method, "/" + path)
        elif kind in ("until-close", "half-closed"):
            self.send(b"HTTP/1.1 200 OK\r\nX-Kind: " + kind.encode() + b"\r\n\r\n" + rest.encode())
            if kind == "half-closed":
                self.stream.shutdown(socket.SHUT_WR)
                self.until_it_leaves()
            raise Ended
        elif kind == "http10":
            self.send(b"HTTP/1.0 200 OK\r\n\r\nold")
            raise Ended
        elif kind == "last":
            self.plain(b"last", headers=["Connection: close"])
            raise Ended
        elif kind == "closing":
            self.plain(b"closing")
            raise Ended
        elif kind == "extra":
            more = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntoo much\n"
            self.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nenough" + more)
        elif kind == "slow":
            pause, _, count = rest.partition("/")

            def pieces():
                for number in range(int(count)):
                    time.sleep(int(pause) / 1000)
                    yield b"piece %d\n" % number

            self.chunked(pieces())
        elif kind == "silent":
            self.until_it_leaves()
        elif kind == "endless":
            self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            self.for_ever(b"2000\r\n" + b"e" * 0x2000 + b"\r\n")
        elif kind == "endless-headers":
            self.send(b"HTTP/1.1 200 OK\r\n")
            self.for_ever(b"X-More: " + b"h" * 100 + b"\r\n")
        elif kind == "headers":
            self.plain(b"body", headers=["X-Large: " + "h" * int(rest)])
        elif kind == "many-headers":
            self.plain(b"body", headers=[f"X-{number}: {number}" for number in range(int(rest))])
        elif kind in ("reset", "cut"):
            parts = {
                "request": b"",
                "headers": b"HTTP/1.1 200 OK\r\nX-Wh",
                "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"b" * 10,
                "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + b"c" * 10,
            }
            self.send(parts[rest])
            self.stop(kind)
        elif kind == "switch":
            self.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\nother")
            self.until_it_leaves()
        else:
            wrong = {
                "garbage": b"\x00\x01this is not HTTP\r\n\r\n",
                "bad-status": b"HTTP/1.1 9x OK\r\nContent-Length: 0\r\n\r\n",
                "bad-header": b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 0\r\n\r\n",
                "bad-length": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nbody",
                "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
                "bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nbody\r\n0\r\n\r\n",
            }
            if kind not in wrong:
                self.plain(b"no such path\n", status="404 Not Found")
                return
            self.send(wrong[kind])
            self.until_it_leaves()

    def for_ever(self, content):
        try:
            while True:
                self.send(content)
        finally:
            COUNTERS.add(self.listener, "left")


class Listener:
    def __init__(self, name, address, options, connection):
        self.connection = connection
        self.name = name
        self.address = address
        self.options = options
        COUNTERS.add(name, "connections", 0)
        family = socket.AF_UNIX if address.startswith("unix:") else socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if "dns" in options else socket.SOCK_STREAM
        self.socket = socket.socket(family, kind)
        if family == socket.AF_UNIX:
            self.socket.bind(address.removeprefix("unix:"))
            self.port = 0
        else:
            self.socket.bind((address, int(options.get("port", 0))))
            self.port = self.socket.getsockname()[1]
        self.context = None
        if "cert" in options:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(options["cert"], options["key"])
            if "alpn" in options:
                self.context.set_alpn_protocols([options["alpn"]])
            if "ca" in options:
                self.context.verify_mode = ssl.CERT_REQUIRED
                self.context.load_verify_locations(options["ca"])
        if "closed" in options:
            # Bound, so that nobody else gets the port, but nobody listens.
            return
        if "full" in options:
            self.socket.listen(0)
            self.fillers = []
            while True:
                filler = socket.socket(family)
                filler.settimeout(0.3)
                self.fillers.append(filler)
                try:
                    filler.connect((address, self.port))
                except TimeoutError:
                    return
        if "dns" in options:
            threading.Thread(target=self.answer_queries, daemon=True).start()
            return
        self.socket.listen(512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        kept = []
        while True:
            connection, _ = self.socket.accept()
            number = COUNTERS.add(self.name, "connections")
            if "reset" in self.options:
                reset(connection)
            elif "silent" in self.options:
                kept.append(connection)
            else:
                threading.Thread(target=self.serve, args=(connection, number), daemon=True).start()

    def serve(self, connection, number):
        COUNTERS.add(self.name, "open")
        try:
            if connection.family != socket.AF_UNIX:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
                COUNTERS.add(self.name, "handshakes")
            self.connection(self.name, connection, number, self.options).serve()
        except ssl.SSLError:
            COUNTERS.add(self.name, "tls_errors")
        except (Ended, OSError, ValueError):
            pass
        finally:
            COUNTERS.add(self.name, "open", -1)
            connection.close()

    def answer_queries(self):
        """Answers for NAME.test as NAME says. Anything else does not exist."""
        addresses = {
            ("v4", 1): ["127.0.0.1"],
            ("both", 1): ["127.0.0.1"],
            ("both", 28): ["::1"],
            ("v6", 28): ["::1"],
            ("two", 1): ["127.0.0.1", "127.0.0.2"],
            ("dead", 1): ["127.0.0.3"],
        }
        exist = {name for name, _ in addresses} | {"empty"}
        while True:
            query, client = self.socket.recvfrom(4096)
            COUNTERS.add(self.name, "queries")
            labels, at = [], 12
            while size := query[at]:
                labels.append(query[at + 1 : at + 1 + size].decode("latin-1").lower())
                at += 1 + size
            question = query[12 : at + 5]
            (kind,) = struct.unpack("!H", query[at + 1 : at + 3])
            name = labels[0]
            COUNTERS.add(self.name, name)
            if name == "silent":
                continue
            code = 2 if name == "broken" else 0 if name in exist and labels[1:] == ["test"] else 3
            records = b""
            found = addresses.get((name, kind), []) if code == 0 else []
            for address in found:
                family = socket.AF_INET6 if kind == 28 else socket.AF_INET
                packed = socket.inet_pton(family, address)
                records += struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(packed)) + packed
            head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
            self.socket.sendto(head + question + records, client)


def main(connection=Connection):
    listeners = []
    for argument in sys.argv[1:]:
        name, _, rest = argument.partition("=")
        address, *options = rest.split(",")
        options = dict(option.partition("=")[::2] for option in options)
        listeners.append(Listener(name, address, options, connection))
    print(json.dumps({listener.name: listener.port for listener in listeners}), flush=True)
    for line in sys.stdin:
        print(json.dumps(COUNTERS.all() if line.strip() == "stats" else {}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
