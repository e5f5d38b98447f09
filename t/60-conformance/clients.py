"""Clients that show all of an answer: interim responses, header lines in their order, trailers, and how it ended.

HTTP/1.1 is spoken over plain sockets, so that a case may send any bytes; HTTP/2 with the package h2, without its checks
of what a client may send.
"""

import socket
import ssl
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from servers import patience


@dataclass
class Request:
    """A request that either protocol can carry. `pieces` is the body; None: there is none."""

    method: str = "GET"
    path: str = "/text"
    headers: list = field(default_factory=list)
    pieces: list = None
    trailers: list = None
    # With content-length, where the body has no trailers.
    sized: bool = True
    # Each piece but the last waits for the answer to the one before: as many bytes as have been sent (HTTP/2).
    answered: bool = False
    # The pieces follow a 101, each when the other end has sent back the one before (HTTP/1.1).
    upgrade: bool = False
    host: str = "test.example"


@dataclass
class Response:
    status: int = 0
    headers: list = field(default_factory=list)
    body: bytes = b""
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)
    # "complete", or how it ended.
    end: str = "complete"


@dataclass
class Tls:
    """The certificate of the authority, and certificate and key of the client, if it has any."""

    authority: str
    client: tuple = None


def connect(port, tls, protocol):
    connection = socket.create_connection(("127.0.0.1", port), patience())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.authority)
    if tls.client:
        context.load_cert_chain(*tls.client)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([{"h1": "http/1.1", "h2": "h2"}[protocol]])
    return context.wrap_socket(connection, server_hostname="test.example")


def pieces_in_order(request, pace):
    """The pieces of the body, each when its turn has come, with a mark for the last one."""
    for number, piece in enumerate(request.pieces or []):
        if number:
            pace(number)
        yield piece, number == len(request.pieces) - 1


def exchange(protocol, port, request, tls, pace):
    """Sends the request, and returns the list of responses: one, unless bytes are sent that are several requests."""
    try:
        with connect(port, tls, protocol) as connection:
            if protocol == "h2":
                return [over_http2(connection, request, pace)]
            return over_http1(connection, request, pace)
    except ssl.SSLError as error:
        return [Response(end=f"TLS: {error.reason}")]


# HTTP/1.1


def over_http1(connection, request, pace):
    reader = Reader(connection)
    if isinstance(request, bytes):
        connection.sendall(request)
        responses = []
        methods = [line.split(b" ")[0] for line in request.split(b"\r\n") if line.endswith(b" HTTP/1.1")]
        for method in methods or [b"GET"]:
            responses.append(reader.response(method.decode("latin-1")))
            if responses[-1].end != "complete":
                break
        return responses
    headers = [("Host", request.host), *request.headers]
    if request.upgrade:
        return [upgraded(connection, reader, request)]
    chunked = request.pieces is not None and (request.trailers is not None or not request.sized)
    if chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif request.pieces is not None:
        headers.append(("Content-Length", str(sum(map(len, request.pieces)))))
    head = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
    # Head and first piece at once: whether servers see them together must not be up to chance.
    out = head.encode("latin-1")
    response = None
    if any(name.lower() == "expect" for name, _ in request.headers):
        # What comes before the body: leave to send it, or already the answer.
        connection.sendall(out)
        out = b""
        response = reader.head()
        if response.status != 100:
            return [reader.rest(response, request.method)]
    try:
        for piece, is_last in pieces_in_order(request, pace):
            out += b"%x\r\n%s\r\n" % (len(piece), piece) if chunked and piece else piece
            if is_last and chunked:
                trailers = "".join(f"{n}: {v}\r\n" for n, v in request.trailers or [])
                out += f"0\r\n{trailers}\r\n".encode("latin-1")
            connection.sendall(out)
            out = b""
        connection.sendall(out)
    except OSError:
        pass  # The server has answered and closed already.
    answer = reader.response(request.method)
    if response:
        answer.interim.insert(0, response.status)
    return [answer]


def upgraded(connection, reader, request):
    """A connection that becomes another protocol's, in which the other end sends back what it gets."""
    headers = [("Host", request.host), ("Connection", "Upgrade"), ("Upgrade", "websocket"), *request.headers]
    head = f"{request.method} {request.path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n"
    connection.sendall(head.encode("latin-1"))
    response = reader.head()
    if response.status != 101:
        return reader.rest(response, request.method)
    try:
        for piece in request.pieces:
            connection.sendall(piece)
            response.body += reader.exactly(len(piece))
        while True:
            response.body += reader.exactly(1)
    except Closed as closed:
        if str(closed) != "closed":
            response.end = str(closed)
    except OSError:
        response.end = "reset"
    return response


class Closed(Exception):
    """The connection has ended."""


class Reader:
    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def more(self):
        try:
            piece = self.connection.recv(65536)
        except TimeoutError:
            raise Closed("nothing for a long time") from None
        except OSError:
            raise Closed("reset") from None
        if not piece:
            raise Closed("closed")
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def exactly(self, size):
        while len(self.buffer) < size:
            self.more()
        content, self.buffer = self.buffer[:size], self.buffer[size:]
        return content

    def fields(self):
        found = []
        while line := self.line():
            name, _, value = line.partition(":")
            found.append((name.lower(), value.strip()))
        return found

    def head(self):
        response = Response()
        try:
            response.status = int(self.line().split(" ", 2)[1])
            response.headers = self.fields()
        except Closed as closed:
            response.end = f"{closed} before the headers were there"
        return response

    def response(self, method):
        interim = []
        while (response := self.head()).status // 100 == 1:
            interim.append(response.status)
        response.interim = interim
        return self.rest(response, method)

    def rest(self, response, method):
        """Reads the body and the trailers."""
        if response.end != "complete":
            return response
        headers = dict(response.headers)
        try:
            if method == "HEAD" or response.status in (204, 304):
                pass
            elif "chunked" in headers.get("transfer-encoding", ""):
                while size := int(self.line().split(";")[0], 16):
                    while size:
                        if not self.buffer:
                            self.more()
                        piece = self.exactly(min(size, len(self.buffer)))
                        response.body += piece
                        size -= len(piece)
                    self.line()
                response.trailers = self.fields()
            elif "content-length" in headers:
                left = int(headers["content-length"])
                while left:
                    if not self.buffer:
                        self.more()
                    piece = self.exactly(min(left, len(self.buffer)))
                    response.body += piece
                    left -= len(piece)
            else:
                while True:
                    try:
                        self.more()
                    except Closed as closed:
                        if str(closed) != "closed":
                            raise
                        break
                response.body, self.buffer = self.buffer, b""
        except Closed as closed:
            response.end = f"{closed} before the end of the body"
        return response


# HTTP/2


def over_http2(connection, request, pace):
    config = h2.config.H2Configuration(
        header_encoding="latin-1",
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    session = Http2(connection, h2.connection.H2Connection(config))
    return session.exchange(request, pace)


class Http2:
    def __init__(self, connection, state):
        self.connection = connection
        self.state = state
        self.response = Response()
        self.ended = False
        self.scheme = "https" if isinstance(connection, ssl.SSLSocket) else "http"

    def flush(self):
        self.connection.sendall(self.state.data_to_send())

    def exchange(self, request, pace):
        state = self.state
        state.initiate_connection()
        state.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 8 << 20})
        state.increment_flow_control_window(8 << 20)
        headers = [
            (":method", request.method),
            (":scheme", self.scheme),
            (":authority", request.host),
            (":path", request.path),
            *((name.lower(), value) for name, value in request.headers),
        ]
        if request.pieces is not None and request.sized and request.trailers is None:
            headers.append(("content-length", str(sum(map(len, request.pieces)))))
        stream = state.get_next_available_stream_id()
        try:
            state.send_headers(stream, headers, end_stream=request.pieces is None)
            if request.pieces is None:
                self.flush()
            else:
                sent = 0
                for piece, is_last in pieces_in_order(request, pace):
                    self.send(stream, piece, is_last and request.trailers is None)
                    sent += len(piece)
                    while request.answered and not is_last and not self.ended and len(self.response.body) < sent:
                        self.receive()
                if request.trailers is not None and not self.ended:
                    pace(len(request.pieces))
                    state.send_headers(stream, request.trailers, end_stream=True)
                    self.flush()
            while not self.ended:
                self.receive()
        except Closed as closed:
            self.response.end = f"{closed}, before the end of the response"
        except OSError:
            self.response.end = "reset before the end of the response"
        return self.response

    def send(self, stream, piece, is_last):
        at = 0
        while not self.ended:
            size = min(
                self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size, len(piece) - at
            )
            if size or at == len(piece):
                end = at + size == len(piece)
                self.state.send_data(stream, piece[at : at + size], end_stream=end and is_last)
                self.flush()
                at += size
                if end:
                    return
            else:
                self.receive()

    def receive(self):
        try:
            content = self.connection.recv(65536)
        except TimeoutError:
            raise Closed("nothing for a long time") from None
        if not content:
            raise Closed("closed")
        try:
            for event in self.state.receive_data(content):
                self.on(event)
        except h2.exceptions.InvalidBodyLengthError:
            raise Closed("content-length is not that of the body") from None
        except h2.exceptions.ProtocolError as error:
            raise Closed(f"not HTTP/2 ({error})") from None
        self.flush()

    def on(self, event):
        if isinstance(event, h2.events.InformationalResponseReceived):
            self.response.interim.append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.ResponseReceived):
            self.response.status = int(dict(event.headers)[":status"])
            self.response.headers = [(name, value) for name, value in event.headers if name != ":status"]
        elif isinstance(event, h2.events.DataReceived):
            self.response.body += event.data
        elif isinstance(event, h2.events.TrailersReceived):
            self.response.trailers = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended = True
        elif isinstance(event, h2.events.StreamReset):
            if not self.ended or self.response.status == 0:
                self.response.end = "reset"
            self.ended = True
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.response.end = "connection terminated"
            self.ended = True
