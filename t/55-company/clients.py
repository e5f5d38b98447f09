"""Clients that show all of an answer and are strict about its framing. A byte that does not belong to an answer is a fault, whatever
it says. After its answer each sends a second request on the same connection, to a place without filters.
"""

import asyncio
import re
import ssl
import time
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
NEXT_BODY = b"the next one\n"
# What is sent of a large body before the other clients have their turn.
PIECE = 1 << 18


@dataclass
class Answer:
    status: int = 0
    headers: list = field(default_factory=list)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)
    # "length", "chunked", "close", "tunnel", "stream" (HTTP/2), or "none".
    framing: str = "none"
    # "complete", or how it ended.
    end: str = "nothing came"
    # What breaks the protocol, or comes where nothing may come.
    faults: list = field(default_factory=list)
    # All that came, for what must not be in it.
    raw: bytes = b""
    # What became of the next request on the connection: "right", "closed" where the answer had said so, or what was wrong.
    next: str = "not sent"
    seconds: float = 0.0

    def header(self, name):
        return [value for key, value in self.headers if key == name]


class Ended(Exception):
    """The other side has closed or reset the connection."""


def tls_context(protocol):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2" if protocol == "h2" else "http/1.1"])
    return context


async def deliver(writer, content):
    """Sends it. That the connection is lost, the event loop tells only when it has its turn: over TLS `drain` alone does not give it
    one, and one would go on sending for nothing."""
    writer.write(content)
    await writer.drain()
    await asyncio.sleep(0)


async def exchange(case, ports, release):
    """Sends the request of the case and then the next one. `release(number)` says that event `number` has been seen."""
    protocol = case.protocol
    port = ports["tls" if protocol in ("tls", "h2") else "h2c" if protocol == "h2c" else "plain"]
    answer = Answer()
    began = time.monotonic()
    writer = None
    try:
        async with asyncio.timeout(case.bound):
            context = tls_context(protocol) if protocol in ("tls", "h2") else None
            reader, writer = await asyncio.open_connection(case.address or "127.0.0.1", port, ssl=context, limit=1 << 22)
            client = Http2 if protocol in ("h2", "h2c") else Http1
            await client(reader, writer, answer, release).exchange(case)
    except TimeoutError:
        answer.faults.append(f"no end within {case.bound} s")
    except OSError as error:
        answer.faults.append(f"the connection failed: {error}")
    finally:
        answer.seconds = time.monotonic() - began
        if writer:
            writer.transport.abort()
    return answer


class Http1:
    def __init__(self, reader, writer, answer, release):
        self.reader, self.writer, self.answer, self.release = reader, writer, answer, release
        self.buffer = b""
        self.may_send = asyncio.Event()

    async def exchange(self, case):
        request = case.request
        http10 = request.version in ("0.9", "1.0")
        keeps = not http10 or ("Connection", "keep-alive") in request.headers
        upgrades = request.kind == "upgrade"
        headers = list(request.headers)
        target = case.target
        if not request.is_nameless:
            headers.insert(0, ("Host", case.host))
        elif not case.address:
            target = f"http://{case.host}{target}"
        chunked = request.chunked
        if request.body is not None:
            headers.append(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(request.body))))
        head = f"{request.method} {target} HTTP/{request.version}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
        if request.version == "0.9":
            head = f"{request.method} {target}\r\n"
        body = request.body or b""
        if chunked:
            third = max(len(body) // 3, 1)
            parts = [body[at : at + third] for at in range(0, len(body), third)]
            body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        waits = any(name == "Expect" for name, _ in request.headers)
        pipelined = case.protocol in ("pipelined", "packet")
        if not waits:
            self.may_send.set()
        head, behind = head.encode("latin-1"), self.next_request(case) if pipelined else b""
        if case.protocol == "packet":
            head, body, behind = head + body + behind, b"", b""
        sender = asyncio.create_task(self.send(head, body, behind))
        try:
            try:
                await self.read(request)
            except Ended as ended:
                self.answer.end = str(ended)
                return
            answer = self.answer
            if answer.framing == "tunnel":
                await self.tunnel()
                return
            if upgrades:
                # Whoever takes this for a tunnel answers it.
                self.writer.write(b"not a request\n\n")
            closes = (
                answer.framing == "close"
                or not keeps
                or "close" in ", ".join(answer.header("connection")).lower()
                or (http10 and "keep-alive" not in ", ".join(answer.header("connection")).lower())
            )
            if closes or upgrades:
                await self.until_closed(may_say=b"HTTP/1.1 400 " if upgrades else b"")
                self.answer.next = "closed"
                return
            # After an answer instead of `100 Continue` the body comes now: a server that keeps the connection has to pass over it.
            self.may_send.set()
            if not pipelined:
                await sender
                self.writer.write(self.next_request(case))
            await self.read_next()
        finally:
            sender.cancel()

    def next_request(self, case):
        return f"GET /next?case={case.number} HTTP/1.1\r\nHost: none\r\nConnection: close\r\n\r\n".encode()

    async def send(self, head, body, behind):
        try:
            self.writer.write(head)
            await self.may_send.wait()
            for at in range(0, len(body), PIECE):
                await deliver(self.writer, body[at : at + PIECE])
            if behind:
                await deliver(self.writer, behind)
        except OSError:
            pass  # The server has answered and closed already; what it said tells whether it may.

    async def more(self):
        try:
            piece = await self.reader.read(1 << 16)
        except OSError:
            raise Ended("reset") from None
        if not piece:
            raise Ended("closed")
        self.buffer += piece
        self.answer.raw += piece

    async def line(self):
        while b"\n" not in self.buffer:
            await self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            self.answer.faults.append(f"a line ends without CR: {line[:80]!r}")
        return line.rstrip(b"\r").decode("latin-1")

    async def exactly(self, size):
        while len(self.buffer) < size:
            await self.more()
        content, self.buffer = self.buffer[:size], self.buffer[size:]
        return content

    async def fields(self):
        found = []
        while line := await self.line():
            name, colon, value = line.partition(":")
            if not colon or not TOKEN.fullmatch(name):
                self.answer.faults.append(f"not a header: {line[:80]!r}")
            found.append((name.lower(), value.strip()))
        return found

    async def head(self):
        while not self.buffer:
            await self.more()
        if not self.buffer.startswith(b"HTTP/1.1 "[: len(self.buffer)]):
            start = self.buffer[:80]
            self.answer.faults.append(f"bytes where an answer should begin: {start!r}")
            raise Ended("not an answer")
        line = await self.line()
        found = re.fullmatch(r"HTTP/1\.1 (\d\d\d)( .*)?", line)
        if not found:
            self.answer.faults.append(f"not a status line: {line[:80]!r}")
            raise Ended("not an answer")
        return int(found[1]), await self.fields()

    async def read(self, request):
        answer = self.answer
        if request.version == "0.9":
            await self.read_bare()
            return
        while True:
            status, headers = await self.head()
            if status // 100 != 1 or status == 101:
                break
            answer.interim.append(status)
            self.may_send.set()
        answer.status, answer.headers = status, headers
        lengths = answer.header("content-length")
        codings = answer.header("transfer-encoding")
        if len(lengths) > 1 or (lengths and not lengths[0].isdigit()):
            answer.faults.append(f"content-length is {lengths}")
        if lengths and codings:
            answer.faults.append("there are content-length and transfer-encoding")
        answer.end = "cut off"
        if status == 101:
            answer.framing = "tunnel"
        elif request.method == "HEAD" or status in (204, 304):
            answer.framing = "none"
        elif codings:
            answer.framing = "chunked"
            if codings != ["chunked"] or request.version == "1.0":
                answer.faults.append(f"transfer-encoding {codings} for HTTP/{request.version}")
            await self.chunks()
        elif lengths:
            answer.framing = "length"
            await self.body(int(lengths[0]))
        else:
            await self.until_end()
        answer.end = "complete"

    async def read_bare(self):
        """HTTP/0.9: a body and nothing else."""
        await self.until_end()
        self.answer.end = "complete"
        if self.answer.body.startswith(b"HTTP/"):
            self.answer.faults.append(f"headers in an answer to HTTP/0.9: {self.answer.body[:80]!r}")

    async def until_end(self):
        """A body that the end of the connection ends."""
        answer = self.answer
        answer.framing = "close"
        try:
            while True:
                self.seen()
                await self.more()
        except Ended as ended:
            answer.body, self.buffer = self.buffer, b""
            if str(ended) != "closed":
                raise

    async def body(self, left):
        while left:
            if not self.buffer:
                await self.more()
            piece = await self.exactly(min(left, len(self.buffer)))
            self.answer.body += piece
            left -= len(piece)
            self.seen()

    async def chunks(self):
        while True:
            line = await self.line()
            if not re.fullmatch(r"[0-9a-f]+", line):
                self.answer.faults.append(f"not the size of a chunk: {line[:80]!r}")
                raise Ended("not an answer")
            if not (size := int(line, 16)):
                break
            await self.body(size)
            if await self.exactly(2) != b"\r\n":
                self.answer.faults.append("a chunk is longer than its size says")
                raise Ended("not an answer")
        self.answer.trailers = await self.fields()

    def seen(self):
        """Tells the upstream of the events that are there."""
        body = self.answer.body or self.buffer
        if self.release:
            self.release(body.lower().count(b"event "))

    async def tunnel(self):
        """The upstream speaks first, then answers."""
        answer = self.answer
        answer.end = "cut off in the tunnel"
        try:
            answer.body += (await self.exactly(len(b"GuArDeD-Main first-words\n")))
            self.writer.write(b"hi\n")
            answer.body += await self.exactly(len(b"echo:hi\n"))
            self.writer.write(b"bye\n")
            await self.until_closed()
            answer.end = "complete"
            answer.next = "closed"
        except Ended:
            answer.body += self.buffer

    async def until_closed(self, may_say=b""):
        try:
            while True:
                await self.more()
        except Ended:
            if self.buffer and not (may_say and self.buffer.startswith(may_say)):
                self.answer.faults.append(f"bytes behind the end of the answer: {self.buffer[:80]!r}")

    async def read_next(self):
        """The answer to the request that has no filter must be that one, and nothing may be behind it."""
        answer, self.answer = self.answer, Answer()
        behind = self.answer
        try:
            method = type("Request", (), {"method": "GET", "version": "1.1"})
            self.release = None
            await self.read(method)
            await self.until_closed()
            wrong = behind.faults or (behind.status, behind.body) != (200, NEXT_BODY)
            answer.next = f"{behind.faults or ''} {behind.status} {behind.body[:80]!r}" if wrong else "right"
        except Ended as ended:
            answer.next = f"{behind.faults or ''} {ended}"
        finally:
            answer.raw += behind.raw
            self.answer = answer


class Http2:
    def __init__(self, reader, writer, answer, release):
        self.reader, self.writer, self.answer, self.release = reader, writer, answer, release
        config = h2.config.H2Configuration(
            header_encoding="latin-1", validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.state = h2.connection.H2Connection(config)
        self.streams = {}
        self.ended = set()

    async def exchange(self, case):
        state, request = self.state, case.request
        state.initiate_connection()
        state.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 16 << 20})
        state.increment_flow_control_window(64 << 20)
        scheme = "https" if case.protocol == "h2" else "http"
        headers = [
            (":method", request.method),
            (":scheme", scheme),
            (":authority", case.host),
            (":path", case.target),
            *((name.lower(), value) for name, value in request.headers if name not in ("Connection",)),
        ]
        if request.body is not None and not request.chunked and request.kind != "grpc":
            headers.append(("content-length", str(len(request.body))))
        stream = state.get_next_available_stream_id()
        self.streams[stream] = self.answer
        self.answer.framing = "stream"
        try:
            state.send_headers(stream, headers, end_stream=not request.body)
            if request.body:
                await self.send(stream, request.body)
            while stream not in self.ended:
                await self.receive()
        except Ended as ended:
            self.answer.end = str(ended)
            return
        if self.answer.end == "connection ended":
            return
        behind = Answer(framing="stream")
        following = state.get_next_available_stream_id()
        self.streams[following] = behind
        try:
            state.send_headers(
                following,
                [
                    (":method", "GET"),
                    (":scheme", scheme),
                    (":authority", "none"),
                    (":path", f"/next?case={case.number}"),
                ],
                end_stream=True,
            )
            while following not in self.ended:
                await self.receive()
            right = (behind.status, behind.body, behind.end) == (200, NEXT_BODY, "complete")
            self.answer.next = "right" if right else f"{behind.status} {behind.body[:80]!r} {behind.end}"
        except Ended as ended:
            self.answer.next = str(ended)

    async def flush(self):
        """Sends what there is to send, and says whether the connection still takes it. How it ended is for those who read."""
        content = self.state.data_to_send()
        if self.writer.is_closing():
            return False
        try:
            await deliver(self.writer, content)
        except OSError:
            return False
        return True

    async def send(self, stream, body):
        at = 0
        while stream not in self.ended:
            size = min(self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size, len(body) - at)
            if size or at == len(body):
                self.state.send_data(stream, body[at : at + size], end_stream=at + size == len(body))
                before, at = at, at + size
                if at == len(body):
                    await self.flush()
                    return
                if at // PIECE > before // PIECE and not await self.flush():
                    return
            else:
                await self.receive()

    async def receive(self):
        await self.flush()
        try:
            content = await self.reader.read(1 << 16)
        except OSError:
            raise Ended("reset") from None
        if not content:
            raise Ended("closed")
        try:
            for event in self.state.receive_data(content):
                self.on(event)
        except h2.exceptions.ProtocolError as error:
            self.answer.faults.append(f"not HTTP/2: {type(error).__name__} {error}")
            raise Ended("not HTTP/2") from None
        await self.flush()

    def on(self, event):
        answer = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ConnectionTerminated):
            for answer in self.streams.values():
                if answer.end == "nothing came":
                    answer.end = "connection ended"
            self.ended.update(self.streams)
        elif answer is None:
            return
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer.interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.ResponseReceived):
            answer.status = int(dict(event.headers)[":status"])
            answer.headers = [(name, value) for name, value in event.headers if name != ":status"]
            answer.raw += repr(answer.headers).encode("latin-1")
            answer.end = "cut off"
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            answer.raw += event.data
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if self.release:
                self.release(answer.body.lower().count(b"event "))
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = list(event.headers)
            answer.raw += repr(answer.trailers).encode("latin-1")
        elif isinstance(event, h2.events.StreamEnded):
            answer.end = "complete"
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            if event.stream_id not in self.ended:
                # nginx ends so what it answers before the request's body is there: the answer is whole then.
                answer.end = "reset"
            self.ended.add(event.stream_id)
