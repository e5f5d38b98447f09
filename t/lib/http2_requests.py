"""Many requests over HTTP/2, several at the same time on one connection, and what came of them. For t/35-limits/mixture.t.

    http2_requests.py PORT WIDTH < REQUESTS

REQUESTS has one in each line, in JSON: method, path, headers (pairs), body (its size). Prints a line for each, in any order, in
JSON: number (of the line, from 0), status (null: none), length, ended (`whole`, `reset`, or `connection`: that ended first).
"""

import json
import select
import socket
import sys

import h2.config
import h2.connection
import h2.events
import h2.exceptions

# nginx ends a connection after keepalive_requests, which is 1000 or 100.
MOST_ON_CONNECTION = 90
PATIENCE = 60


class Connection:
    def __init__(self, port, width, requests):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 30)
        self.width = width
        self.requests = requests
        self.begun = 0
        self.live = {}
        self.unsent = {}

    def run(self):
        """Until all have ended, or the connection has."""
        while True:
            while self.requests and len(self.live) < self.width and self.begun < MOST_ON_CONNECTION:
                self.begin(*self.requests.pop())
            if not self.live:
                break
            self.send_bodies()
            self.socket.sendall(self.h2.data_to_send())
            if not select.select([self.socket], [], [], PATIENCE)[0]:
                sys.exit(f"nothing came for {PATIENCE} s; open are {self.live}")
            data = self.socket.recv(65536)
            if not data:
                break
            for event in self.h2.receive_data(data):
                self.take(event)

    def begin(self, number, request):
        stream = self.h2.get_next_available_stream_id()
        names = [(":method", request["method"]), (":path", request["path"]), (":authority", "a"), (":scheme", "http")]
        self.h2.send_headers(stream, names + [tuple(pair) for pair in request["headers"]], end_stream=not request["body"])
        self.begun += 1
        self.live[stream] = {"number": number, "status": None, "length": 0}
        if request["body"]:
            self.unsent[stream] = request["body"]

    def send_bodies(self):
        for stream, size in list(self.unsent.items()):
            part = min(size, self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if part > 0:
                self.h2.send_data(stream, b"b" * part, end_stream=part == size)
                self.unsent[stream] -= part
            if part == size:
                del self.unsent[stream]

    def take(self, event):
        stream = getattr(event, "stream_id", None)
        if stream not in self.live:
            return
        if isinstance(event, h2.events.ResponseReceived):
            self.live[stream]["status"] = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.live[stream]["length"] += len(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded):
            self.end(stream, "whole")
        elif isinstance(event, h2.events.StreamReset):
            self.end(stream, "reset")

    def end(self, stream, how):
        self.unsent.pop(stream, None)
        print(json.dumps({**self.live.pop(stream), "ended": how}))


def main():
    port, width = map(int, sys.argv[1:])
    requests = list(enumerate(map(json.loads, sys.stdin)))
    requests.reverse()
    while requests:
        connection = Connection(port, width, requests)
        try:
            connection.run()
        except (OSError, h2.exceptions.ProtocolError) as err:
            print(err, file=sys.stderr)
        for stream in list(connection.live):
            connection.end(stream, "connection")
        connection.socket.close()


main()
