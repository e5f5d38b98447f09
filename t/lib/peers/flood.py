"""A service that answers with too much, for as long as the client takes it. Peer.pm starts it; listeners, options and counters
are those of fault.py, and `left` counts the clients that have closed. What a listener sends is its option `kind`:

    interim, zeros      answers 1xx without end; a chunk's size without end
    extensions          small chunks with extensions
    ping, settings, window, unknown, informed       frames of HTTP/2, of one kind
    continuation        frames that continue the headers of an answer

`deaf`: it does not read what the client says to that.
"""

import struct
import threading

import fault
from fault import Ended


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


SETTINGS = frame(4, 0, 0)
# What comes first, and what comes again and again.
KINDS = {
    "interim": (b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    "zeros": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 100),
    "extensions": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;name=value\r\nx\r\n"),
    "ping": (SETTINGS, frame(6, 0, 0, b"12345678")),
    "settings": (SETTINGS, SETTINGS),
    "window": (SETTINGS, frame(8, 0, 0, struct.pack("!I", 1))),
    "unknown": (SETTINGS, frame(0xBB, 0, 0, b"what")),
    "informed": (SETTINGS, frame(1, 4, 1, b"\x48\x03103")),
    # :status 200, and then nothing but the same header.
    "continuation": (SETTINGS + frame(1, 0, 1, b"\x88"), frame(9, 0, 1, b"\x00\x01a\x01b")),
}


class Connection(fault.Connection):
    def serve(self):
        first, again = KINDS[self.options["kind"]]
        self.more()
        self.send(first)
        if "deaf" not in self.options:
            threading.Thread(target=self.drop, daemon=True).start()
        self.for_ever(again * (65536 // len(again)))

    def drop(self):
        try:
            while True:
                self.read = b""
                self.more()
        except (Ended, OSError):
            pass


fault.main(Connection)
