"""A service of HTTP/2 that answers as the request's path says, also in ways that are wrong. Peer.pm starts it; listeners,
options and counters are those of fault.py. One more option: `streams=N`, how many may be open at the same time in a
connection. More counters: `resets`, streams that the client has reset, and `most`, how many were open at once.

    /echo              what came, in JSON: method, target, headers, body, trailers, connection (a number)
    /body/SIZE, /trailers/NAME=VALUE/...      as in fault.py
    /informed/PATH     an answer 103 before the one for PATH
    /together/N/PATH   PATH, when N such requests are here
    /silent            none
    /reset/CODE        RST_STREAM in place of the answer; /reset-later/CODE: in the middle of the body
    /goaway            GOAWAY that says that this request was not looked at, and the end of the connection
    /last              an answer, GOAWAY, and the end when the client is done
    /cut               the end of the connection in place of the answer; /cut-later: in the middle of the body
    /headers/SIZE      a header of that size
    /garbage           what is no HTTP/2; /bad-header: a header whose name has upper-case letters; /no-status: no :status
    /short             a content-length that is more than what comes
"""

import collections
import json
import socket

import fault
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from fault import COUNTERS, Ended


class Connection:
    def __init__(self, listener, stream, number, options):
        self.listener = listener
        self.stream = stream
        self.number = number
        config = h2.config.H2Configuration(
            client_side=False,
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.state = h2.connection.H2Connection(config)
        self.options = options
        self.requests = {}
        # Bodies that wait for the client to make room.
        self.unsent = {}
        self.waiting = collections.defaultdict(list)

    def serve(self):
        self.state.initiate_connection()
        if "streams" in self.options:
            # Counts from when the client has heard of it.
            most = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: int(self.options["streams"])}
            self.state.update_settings(most)
        self.flush()
        while content := self.stream.recv(65536):
            for event in self.state.receive_data(content):
                self.on(event)
            self.flush()
        raise Ended

    def flush(self):
        self.stream.sendall(self.state.data_to_send())

    def on(self, event):
        if isinstance(event, h2.events.RequestReceived):
            pseudo = {name: value for name, value in event.headers if name.startswith(":")}
            self.requests[event.stream_id] = {
                "method": pseudo[":method"],
                "target": pseudo[":path"],
                "headers": [["host", pseudo.get(":authority", "")], *(list(h) for h in event.headers if h[0][0] != ":")],
                "body": "",
                "trailers": [],
                "connection": self.number,
            }
            open_streams = self.state.open_inbound_streams
            with COUNTERS.lock:
                counters = COUNTERS.of[self.listener]
                counters["most"] = max(counters["most"], open_streams)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id]["body"] += event.data.decode("latin-1")
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.requests[event.stream_id]["trailers"] = [list(h) for h in event.headers]
        elif isinstance(event, h2.events.StreamEnded):
            COUNTERS.add(self.listener, "requests")
            self.answer(event.stream_id, self.requests[event.stream_id]["target"])
        elif isinstance(event, h2.events.StreamReset):
            COUNTERS.add(self.listener, "resets")
            self.unsent.pop(event.stream_id, None)
        elif isinstance(event, (h2.events.WindowUpdated, h2.events.RemoteSettingsChanged)):
            for stream in list(self.unsent):
                self.send_some(stream)

    def head(self, stream, *headers, end=False):
        self.state.send_headers(stream, [(":status", "200"), *headers], end_stream=end)

    def plain(self, stream, body, trailers=None):
        self.head(stream)
        self.unsent[stream] = (body, trailers)
        self.send_some(stream)

    def send_some(self, stream):
        body, trailers = self.unsent[stream]
        while True:
            size = min(len(body), self.state.local_flow_control_window(stream), self.state.max_outbound_frame_size)
            if size == 0 and body:
                self.unsent[stream] = (body, trailers)
                return
            piece, body = body[:size], body[size:]
            self.state.send_data(stream, piece, end_stream=not body and trailers is None)
            if not body:
                break
        del self.unsent[stream]
        if trailers is not None:
            self.state.send_headers(stream, trailers, end_stream=True)

    def close(self, *ways):
        self.flush()
        if "politely" in ways:
            self.stream.shutdown(socket.SHUT_WR)
        raise Ended

    def answer(self, stream, target):
        kind, _, rest = target.split("?")[0].lstrip("/").partition("/")
        if kind == "echo":
            request = dict(self.requests[stream])
            if len(request["body"]) > 65536:
                request["body"] = f"{len(request['body'])} bytes"
            self.plain(stream, json.dumps(request).encode())
        elif kind == "body":
            self.plain(stream, b"b" * int(rest))
        elif kind == "trailers":
            self.plain(stream, b"body", [tuple(trailer.split("=")) for trailer in rest.split("/")])
        elif kind == "informed":
            self.state.send_headers(stream, [(":status", "103"), ("x-informed", "1")])
            self.answer(stream, "/" + rest)
        elif kind == "together":
            count, _, path = rest.partition("/")
            self.waiting[path].append(stream)
            if len(self.waiting[path]) == int(count):
                for one in self.waiting.pop(path):
                    self.answer(one, "/" + path)
        elif kind == "reset":
            self.state.reset_stream(stream, int(rest))
        elif kind == "reset-later":
            self.head(stream)
            self.state.send_data(stream, b"some")
            self.state.reset_stream(stream, int(rest))
        elif kind == "goaway":
            self.state.close_connection(last_stream_id=stream - 2 if stream > 1 else 0)
            self.close()
        elif kind == "last":
            self.plain(stream, b"last")
            self.state.close_connection(last_stream_id=stream)
            self.flush()
            while self.stream.recv(65536):
                pass
            raise Ended
        elif kind == "cut":
            self.close()
        elif kind == "cut-later":
            self.head(stream)
            self.state.send_data(stream, b"some")
            self.close()
        elif kind == "headers":
            self.head(stream, ("x-large", "h" * int(rest)), end=True)
        elif kind == "garbage":
            self.flush()
            self.stream.sendall(b"\x00\x01this is no frame of HTTP/2, or if it is one, it is wrong\r\n" * 400)
        elif kind == "bad-header":
            self.head(stream, ("X-Bad", "1"), end=True)
        elif kind == "no-status":
            self.state.send_headers(stream, [("x-status", "200")], end_stream=True)
        elif kind == "short":
            self.head(stream, ("content-length", "100"))
            self.state.send_data(stream, b"short", end_stream=True)
        elif kind != "silent":
            self.state.send_headers(stream, [(":status", "404")], end_stream=True)


fault.main(Connection)
