"""The servers behind nginx, in a process of their own: HTTP with WebSocket and event streams, FastCGI, uwsgi, SCGI, memcached and
gRPC. They keep what they were asked, under the number of the case that the arguments of each request have.

    python3 upstreams.py FOLDER-OF-H2

prints its ports as JSON. A line `seen` on standard input has it print what it was asked; the end of the input ends it.

The arguments say what is answered: `content=` is a name of bodies.py; the first letters of the path say which kind of text it
is (`/part...`, `/target...`, else the main one). Other paths do something else, see `Http.answer`.
"""

import asyncio
import base64
import hashlib
import json
import re
import struct
import sys
import urllib.parse
import zlib

import bodies

CHUNKED = ("chunked", "long-chunked")
EVENTS = [b"data: %s event %d\n\n" % (bodies.MARKERS["main"].encode(), number) for number in range(4)]
# How a part is in a page: SSI's commands.
INCLUDES = {
    "plain": '<!--# include virtual="%s" -->',
    "wait": '<!--# include virtual="%s" wait="yes" -->',
    "set": '<!--# include virtual="%s" set="part" --><!--# echo var="part" encoding="none" -->',
    "stub": '<!--# block name="stub" -->instead<!--# endblock --><!--# include virtual="%s" stub="stub" -->',
}
# What a WebSocket has: opaque bytes, for nginx.
FIRST_WORDS = b"GuArDeD-Main first-words\n"
LATER = 5


class Records:
    """What was asked in each case, and what other ends wait for."""

    def __init__(self):
        self.seen = {}
        self.released = {}

    def add(self, kind, method, target, headers, body, whole=True):
        if "&aside" in target:
            return
        number = (re.search(r"case=(\d+)", target) or [None, "0"])[1]
        self.seen.setdefault(number, []).append(
            {
                "kind": kind,
                "method": method,
                "target": target.replace(number, "N") if number != "0" else target,
                "headers": sorted(headers),
                "size": len(body),
                "sum": hashlib.sha256(body).hexdigest(),
                "whole": whole,
            }
        )

    def step(self, key):
        return self.released.setdefault(key, asyncio.Event())


RECORDS = Records()


class Plan:
    """An answer, for any protocol."""

    def __init__(self, method, target):
        path, _, arguments = target.partition("?")
        self.arguments = dict(urllib.parse.parse_qsl(arguments, keep_blank_values=True))
        self.path = path
        self.number, self.is_aside = self.arguments.get("case"), "aside" in self.arguments
        content = self.arguments.get("content", "small")
        kind = next((kind for kind in ("part", "target") if f"/{kind}" in path), "main")
        self.status = 404 if content == "missing" else 200
        self.chunked = content in CHUNKED
        self.body = bodies.text(content, kind) if content in bodies.SIZES else b""
        self.fields = [("Content-Type", "text/plain"), ("X-Up", bodies.HEADER_MARKER), ("ETag", '"tag"')]
        if "/zipped" in path:
            self.body = bodies.zipped(content, kind)
            self.fields += [("Content-Encoding", "gzip")]
        if "/deflated" in path:
            self.body = zlib.compress(self.body)
            self.fields += [("Content-Encoding", "deflate")]
        if "/page" in path:
            # SSI: a part in the middle.
            include = (INCLUDES[self.arguments.get("how", "plain")] % self.arguments["part"] + "\n").encode()
            middle = len(self.body) // 2
            self.body = self.body[:middle] + include + self.body[middle:]
        if "/redirected" in path:
            self.fields += [("X-Accel-Redirect", self.arguments["to"])]
        if "/stale" in path:
            self.fields += [("X-Accel-Expires", "@1")]
        if "/fails" in path:
            self.status = 502
        if "/allowed" in path or "/arrived" in path:
            self.status, self.body, self.chunked = 204, b"", False
        if "/forbidden" in path:
            self.status = 403

    @property
    def is_encoded(self):
        return "/zipped" in self.path or "/deflated" in self.path

    def part(self, wanted):
        """For one range of bytes, as `slice` asks for it."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted or "")
        if not found or self.status != 200 or self.is_encoded:
            return
        size = len(self.body)
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if first > last:
            self.status, self.body, self.chunked = 416, b"", False
            self.fields.append(("Content-Range", f"bytes */{size}"))
            return
        self.status, self.chunked = 206, False
        self.body = self.body[first : last + 1]
        self.fields.append(("Content-Range", f"bytes {first}-{last}/{size}"))


def pieces(body):
    """For chunks: three of them."""
    third = max(len(body) // 3, 1)
    return [piece for piece in (body[:third], body[third : 2 * third], body[2 * third :]) if piece]


REASONS = {200: "OK", 204: "No Content", 206: "Partial Content", 304: "Not Modified", 403: "Forbidden", 404: "Not Found"}


class Http:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def serve(self):
        while await self.one():
            pass

    async def one(self):
        line = (await self.reader.readline()).decode("latin-1").rstrip("\r\n")
        if not line:
            return False
        method, target, version = line.split(" ", 2)
        headers = []
        while field := (await self.reader.readline()).decode("latin-1").rstrip("\r\n"):
            name, _, value = field.partition(":")
            headers.append((name.lower(), value.strip()))
        given = dict(headers)
        body = b""
        try:
            if given.get("transfer-encoding", "").lower() == "chunked":
                while size := int((await self.reader.readline()).split(b";")[0], 16):
                    body += await self.reader.readexactly(size)
                    await self.reader.readline()
                await self.reader.readline()
            else:
                body = await self.reader.readexactly(int(given.get("content-length", 0)))
        except (asyncio.IncompleteReadError, ValueError, OSError):
            RECORDS.add("http", method, target, headers, b"", whole=False)
            return False
        RECORDS.add("http", method, target, headers, body)
        keeps = version == "HTTP/1.1" and given.get("connection", "").lower() != "close"
        return await self.answer(method, target, given, keeps)

    async def answer(self, method, target, given, keeps):
        plan = Plan(method, target)
        if "/socket" in plan.path and given.get("upgrade", "").lower() == "websocket":
            return await self.websocket(given)
        if "/events" in plan.path:
            return await self.events(plan, keeps)
        if "/arrived" in plan.path:
            RECORDS.step((plan.number, f"arrived {plan.is_aside}")).set()
        if "/gathered" in plan.path:
            await self.gather(plan)
        plan.part(given.get("range"))
        if given.get("if-none-match") == '"tag"' and plan.status == 200 and not plan.is_encoded:
            plan.status, plan.body, plan.chunked = 304, b"", False
        fields = list(plan.fields)
        framed = plan.status not in (204, 304)
        chunked = plan.chunked and keeps
        if chunked:
            fields.append(("Transfer-Encoding", "chunked"))
        elif plan.chunked:
            keeps = False  # The end of the connection is the end of the body.
        elif framed:
            fields.append(("Content-Length", str(len(plan.body))))
        if not keeps:
            fields.append(("Connection", "close"))
        self.head(plan.status, fields)
        if method != "HEAD" and framed:
            if chunked:
                for piece in pieces(plan.body):
                    self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await self.writer.drain()
                self.writer.write(b"0\r\n\r\n")
            else:
                self.writer.write(plan.body)
        await self.writer.drain()
        return keeps

    def head(self, status, fields):
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        self.writer.write(f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}\r\n{lines}\r\n".encode("latin-1"))

    async def websocket(self, given):
        key = given.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
        self.head(101, [*fields, ("X-Up", bodies.HEADER_MARKER)])
        # At once: whoever holds the head must not let this go before it.
        self.writer.write(FIRST_WORDS)
        await self.writer.drain()
        while (line := await self.reader.readline()).endswith(b"\n"):
            if line == b"bye\n":
                break
            self.writer.write(b"echo:" + line)
            await self.writer.drain()
        return False

    @staticmethod
    async def gather(plan):
        """Who is the first of two is answered when the other one has arrived."""
        asked = RECORDS.step((plan.number, "asked"))
        if asked.is_set():
            return
        asked.set()
        try:
            await asyncio.wait_for(RECORDS.step((plan.number, f"arrived {not plan.is_aside}")).wait(), LATER)
        except TimeoutError:
            plan.body += b"(nobody has come)"

    async def events(self, plan, keeps):
        """Each event but the first when the one before has been seen at the other end."""
        fields = [("Content-Type", "text/event-stream"), ("X-Up", bodies.HEADER_MARKER)]
        fields.append(("Transfer-Encoding", "chunked") if keeps else ("Connection", "close"))
        self.head(200, fields)
        for number, event in enumerate(EVENTS):
            if number and "paced" in plan.arguments:
                try:
                    await asyncio.wait_for(RECORDS.step((plan.number, f"event {number}")).wait(), LATER)
                except TimeoutError:
                    plan.arguments.pop("paced")
                    event = event.replace(b"event", b"event (the one before was not seen for seconds)")
            self.writer.write(b"%x\r\n%s\r\n" % (len(event), event) if keeps else event)
            await self.writer.drain()
        if keeps:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        return keeps


class Control:
    """Lines `set CASE WHAT` and `wait CASE WHAT`, of what others wait for. The answer is an empty line."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def serve(self):
        while line := (await self.reader.readline()).decode().strip():
            verb, number, what = line.split(" ", 2)
            step = RECORDS.step((number, what))
            if verb == "set":
                step.set()
            else:
                await step.wait()
            self.writer.write(b"\n")
            await self.writer.drain()


def cgi(plan, with_status):
    fields = [(name, value) for name, value in plan.fields]
    if not plan.chunked:
        fields.append(("Content-Length", str(len(plan.body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"{with_status}{plan.status} {REASONS.get(plan.status, 'Other')}\r\n{lines}\r\n".encode() + plan.body


class Gateway:
    """A program behind FastCGI, uwsgi or SCGI: it gets variables and a body."""

    kind = ""
    with_status = "Status: "

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def serve(self):
        variables, body = await self.request()
        method, target = variables.get("REQUEST_METHOD", ""), variables.get("REQUEST_URI", "")
        headers = [(name[5:].lower().replace("_", "-"), value) for name, value in variables.items() if name[:5] == "HTTP_"]
        RECORDS.add(self.kind, method, target, headers, body)
        answer = cgi(plan := Plan(method, target), self.with_status)
        if method == "HEAD":
            answer = answer[: len(answer) - len(plan.body)]
        await self.answer(answer)


class Fastcgi(Gateway):
    kind = "fastcgi"

    async def record(self):
        _, kind, request, size, padding, _ = struct.unpack(">BBHHBB", await self.reader.readexactly(8))
        content = await self.reader.readexactly(size)
        await self.reader.readexactly(padding)
        self.request_id = request
        return kind, content

    async def request(self):
        raw, body = b"", b""
        while True:
            kind, content = await self.record()
            if kind == 4:
                raw += content
            elif kind == 5:
                if not content:
                    break
                body += content
        variables, at = {}, 0
        while at < len(raw):
            sizes = []
            for _ in range(2):
                size = raw[at]
                if size & 0x80:
                    size = struct.unpack(">I", raw[at : at + 4])[0] & 0x7FFFFFFF
                    at += 3
                at += 1
                sizes.append(size)
            name = raw[at : at + sizes[0]].decode("latin-1")
            at += sizes[0]
            variables[name] = raw[at : at + sizes[1]].decode("latin-1")
            at += sizes[1]
        return variables, body

    async def answer(self, out):
        for at in range(0, len(out), 32000):
            piece = out[at : at + 32000]
            self.writer.write(struct.pack(">BBHHBB", 1, 6, self.request_id, len(piece), 0, 0) + piece)
            await self.writer.drain()
        self.writer.write(struct.pack(">BBHHBB", 1, 6, self.request_id, 0, 0, 0))
        self.writer.write(struct.pack(">BBHHBBIBBBB", 1, 3, self.request_id, 8, 0, 0, 0, 0, 0, 0, 0))
        await self.writer.drain()


class Scgi(Gateway):
    kind = "scgi"

    async def request(self):
        size = int((await self.reader.readuntil(b":"))[:-1])
        parts = (await self.reader.readexactly(size)).decode("latin-1").split("\0")
        await self.reader.readexactly(1)
        variables = dict(zip(parts[0::2], parts[1::2]))
        return variables, await self.reader.readexactly(int(variables["CONTENT_LENGTH"] or 0))

    async def answer(self, out):
        self.writer.write(out)
        await self.writer.drain()


class Uwsgi(Gateway):
    kind = "uwsgi"
    with_status = "HTTP/1.1 "

    async def request(self):
        _, size, _ = struct.unpack("<BHB", await self.reader.readexactly(4))
        raw, variables, at = await self.reader.readexactly(size), {}, 0
        while at < len(raw):
            pair = []
            for _ in range(2):
                (length,) = struct.unpack_from("<H", raw, at)
                pair.append(raw[at + 2 : at + 2 + length].decode("latin-1"))
                at += 2 + length
            variables[pair[0]] = pair[1]
        return variables, await self.reader.readexactly(int(variables["CONTENT_LENGTH"] or 0))

    answer = Scgi.answer


class Memcached:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def serve(self):
        while line := (await self.reader.readline()).decode("latin-1").strip():
            key = line.split(" ", 1)[1]
            RECORDS.add("memcached", "get", key, [], b"")
            plan = Plan("GET", key)
            found = b"" if plan.status == 404 else b"VALUE %s 0 %d\r\n%s\r\n" % (key.encode(), len(plan.body), plan.body)
            self.writer.write(found + b"END\r\n")
            await self.writer.drain()


class Grpc:
    """HTTP/2 without TLS; each message comes back, and a status in the trailers."""

    def __init__(self, reader, writer):
        import h2.config
        import h2.connection

        self.reader, self.writer = reader, writer
        self.state = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="latin-1", validate_inbound_headers=False)
        )
        self.streams = {}

    async def serve(self):
        self.state.initiate_connection()
        self.state.increment_flow_control_window(64 << 20)
        self.writer.write(self.state.data_to_send())
        while content := await self.reader.read(65536):
            for event in self.state.receive_data(content):
                self.on(event)
            self.writer.write(self.state.data_to_send())
            await self.writer.drain()

    def on(self, event):
        import h2.events

        if isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = [dict(event.headers), list(event.headers), b""]
        elif isinstance(event, h2.events.DataReceived):
            self.streams[event.stream_id][2] += event.data
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            pseudo, headers, body = self.streams.pop(event.stream_id)
            regular = [(name, value) for name, value in headers if name[0] != ":"]
            RECORDS.add("grpc", pseudo[":method"], pseudo[":path"], regular, body)
            self.state.send_headers(
                event.stream_id,
                [(":status", "200"), ("content-type", "application/grpc"), ("x-up", bodies.HEADER_MARKER)],
            )
            message = bodies.text("small")
            message = b"\0" + struct.pack(">I", len(message)) + message
            self.state.send_data(event.stream_id, message)
            self.state.send_headers(event.stream_id, [("grpc-status", "0"), ("grpc-message", "fine")], end_stream=True)


async def main():
    sys.path.insert(0, sys.argv[1])
    ports, servers = {}, []
    for kind in (Http, Control, Fastcgi, Scgi, Uwsgi, Memcached, Grpc):

        async def connected(reader, writer, kind=kind):
            try:
                await kind(reader, writer).serve()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # The other end has left.
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20, backlog=1024)
        servers.append(server)
        ports[kind.__name__.lower()] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "seen":
            print(json.dumps(RECORDS.seen), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
