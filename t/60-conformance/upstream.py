"""The upstream behind both servers: it answers as the request's path says, and keeps what it was sent.

/status/N answers with that status; /text, /empty, /large with a fixed body; /chunked, /text-chunked, /large-chunked the
same in chunks; /pieces in three chunks, each when the trace asks for it (see `pace`); /close ends the body by closing;
/trailers has trailers; /echo (HTTP/2) sends back each piece as it comes, and /upgrade (HTTP/1.1) does so after a 101, until
the piece `end`; /silent never answers, and /garbage not in HTTP; /empty-chunked has a body without a chunk; everything else
answers 200 and tells in JSON method, target and body of the request.
"""

import http.client
import json
import select
import socket
import socketserver
import threading

import h2.config
import h2.connection
import h2.events

TEXT = b"0123456789\n"
LARGE = b"".join(b"%07d\n" % number for number in range(1 << 17))  # 1 MiB
PIECES = [b"one, ", b"two, ", b"three\n"]
TRAILERS = [("x-up-trailer", "up"), ("x-up-trailer-old", "old")]

FIELDS = [
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


class Plan:
    """The answer to a request, for either protocol."""

    def __init__(self, method, target, body):
        path = target.split("?")[0]
        self.status = int(path.split("/")[2]) if path.startswith("/status/") else 200
        self.trailers = TRAILERS if path == "/trailers" else None
        self.closes = path == "/close"
        self.chunked = path.endswith("chunked") or path in ("/pieces", "/trailers")
        kind = "text/plain"
        if path in ("/text", "/text-chunked", "/trailers", "/close"):
            self.pieces = [TEXT]
        elif path in ("/large", "/large-chunked"):
            self.pieces = [LARGE]
        elif path == "/pieces":
            self.pieces = PIECES
        elif path in ("/empty", "/empty-chunked"):
            self.pieces = [b""]
        else:
            kind = "application/json"
            self.pieces = [(json.dumps({"method": method, "target": target, "body": body}) + "\n").encode()]
        self.fields = [("Content-Type", kind), *FIELDS]
        if 300 <= self.status < 400:
            self.fields.append(("Location", "http://127.0.0.1/elsewhere?x=1"))
        self.has_body = self.status not in (204, 304)
        if self.has_body and not self.chunked and not self.closes:
            self.fields.append(("Content-Length", str(sum(map(len, self.pieces)))))


class Upstream(socketserver.ThreadingTCPServer):
    """`seen` is the list of requests; `pace(n)` is called before piece n of a response, from 1, and waits."""

    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, handler=None):
        super().__init__(("127.0.0.1", 0), handler or Http1Connection)
        self.port = self.server_address[1]
        self.seen = []
        # Connections on which nothing has been read.
        self.silent = []
        # The one that was accepted last.
        self.accepted = None
        self.change = threading.Condition()
        self.pace = lambda number: None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def begin(self, pace):
        """What is asked from now on is another case's. What the one before has sent may wait to be accepted, or to be read: so one of
        our connections gets in line behind all others, and what is there to be read of those is read. (Connections themselves may be
        made in one case, and used in the next.)"""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            ours = last.getsockname()
            with self.change:
                self.change.wait_for(lambda: self.accepted == ours)
                self.change.wait_for(lambda: not select.select(self.silent, [], [], 0)[0])
                self.seen = []
                self.pace = pace

    def process_request(self, request, client_address):
        # In the order in which they came; what is done with them, is done on threads of their own.
        with self.change:
            self.silent.append(request)
            self.accepted = client_address
            self.change.notify_all()
        super().process_request(request, client_address)

    def speaks(self, connection, seen=None):
        """A connection is not looked at any more; this is what it has asked, if it has."""
        with self.change:
            if connection in self.silent:
                self.silent.remove(connection)
            if seen:
                self.seen.append(seen)
            self.change.notify_all()

    def handle_error(self, request, client_address):
        """A server that gives up on a request closes its connection; the client's side tells."""


class Http1Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def finish(self):
        self.server.speaks(self.request)
        super().finish()

    def handle(self):
        line = self.rfile.readline().decode("latin-1").rstrip("\r\n")
        if not line:
            return
        method, target, _ = line.split(" ", 2)
        headers = self.fields()
        seen = {"method": method, "target": target, "headers": headers, "body": "", "trailers": [], "whole": False}
        self.server.speaks(self.request, seen)
        if target == "/upgrade":
            self.upgrade(seen)
            return
        self.body(dict(headers), seen)
        if target == "/silent":
            self.rfile.read()
            return
        if target == "/garbage":
            self.wfile.write(b"garbage\r\n\r\n")
            return
        # One request for a connection: if its length is a lie, the next one does not suffer.
        self.answer(Plan(method, target, seen["body"]), method)

    def fields(self):
        found = []
        while field := self.rfile.readline().decode("latin-1").rstrip("\r\n"):
            name, value = field.split(":", 1)
            found.append((name.lower(), value.strip()))
        return found

    def body(self, headers, seen):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                seen["body"] += self.rfile.read(size).decode("latin-1")
                self.rfile.readline()
            seen["trailers"] = self.fields()
        else:
            size = int(headers.get("content-length", 0))
            seen["body"] = self.rfile.read(size).decode("latin-1")
            if len(seen["body"]) < size:
                return
        seen["whole"] = True

    def upgrade(self, seen):
        # What follows has no end of its own.
        seen["whole"] = True
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while piece := self.request.recv(65536):
            seen["body"] += piece.decode("latin-1")
            self.wfile.write(piece)
            if seen["body"].endswith("end"):
                break

    def answer(self, plan, method):
        fields = list(plan.fields)
        if plan.has_body and plan.chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        fields.append(("Connection", "close"))
        reason = http.client.responses.get(plan.status, "Unnamed")
        head = (
            f"HTTP/1.1 {plan.status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
        )
        out = head.encode()
        if plan.has_body and method != "HEAD":
            for number, piece in enumerate(plan.pieces):
                if number:
                    self.wfile.write(out)
                    out = b""
                    self.server.pace(number)
                out += b"%x\r\n%s\r\n" % (len(piece), piece) if plan.chunked and piece else piece
            if plan.chunked:
                trailers = "".join(f"{name}: {value}\r\n" for name, value in plan.trailers or [])
                out += f"0\r\n{trailers}\r\n".encode()
        self.wfile.write(out)


class Http2Connection(socketserver.BaseRequestHandler):
    """What a gRPC server is to a proxy: HTTP/2 without TLS, and trailers behind the body."""

    def handle(self):
        self.server.speaks(self.request)
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
        )
        self.state = h2.connection.H2Connection(config)
        self.state.initiate_connection()
        self.state.increment_flow_control_window(8 << 20)
        self.request.sendall(self.state.data_to_send())
        self.streams = {}
        while content := self.request.recv(65536):
            for event in self.state.receive_data(content):
                self.on(event)
            self.request.sendall(self.state.data_to_send())

    def on(self, event):
        if isinstance(event, h2.events.RequestReceived):
            pseudo = {name: value for name, value in event.headers if name.startswith(":")}
            seen = {
                "method": pseudo[":method"],
                "target": pseudo[":path"],
                "body": "",
                "trailers": [],
                "whole": False,
                # As HTTP/1 would have it.
                "headers": [
                    *((("host", pseudo[":authority"]),) if ":authority" in pseudo else ()),
                    *(h for h in event.headers if h[0][0] != ":"),
                ],
            }
            self.streams[event.stream_id] = seen
            self.server.seen.append(seen)
            if seen["target"] == "/echo":
                self.state.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id]["body"] += event.data.decode("latin-1")
            if self.streams[event.stream_id]["target"] == "/echo":
                self.state.send_data(event.stream_id, event.data)
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.streams[event.stream_id]["trailers"] = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.streams[event.stream_id]["whole"] = True
            if self.streams[event.stream_id]["target"] == "/echo":
                self.state.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
            else:
                self.answer(event.stream_id)

    def answer(self, stream):
        seen = self.streams[stream]
        plan = Plan(seen["method"], seen["target"], seen["body"])
        headers = [(":status", str(plan.status)), *((name.lower(), value) for name, value in plan.fields)]
        sends_body = plan.has_body and seen["method"] != "HEAD"
        self.state.send_headers(stream, headers, end_stream=not sends_body)
        if sends_body:
            for number, piece in enumerate(plan.pieces):
                if number:
                    self.request.sendall(self.state.data_to_send())
                    self.server.pace(number)
                is_last = number == len(plan.pieces) - 1
                for at in range(0, max(len(piece), 1), 16384):
                    part = piece[at : at + 16384]
                    self.state.send_data(
                        stream, part, end_stream=is_last and at + 16384 >= len(piece) and not plan.trailers
                    )
            if plan.trailers:
                self.state.send_headers(stream, plan.trailers, end_stream=True)
