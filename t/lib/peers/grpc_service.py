"""A gRPC server without definitions of messages: they are bytes. Peer.pm starts it for the tests of calls:

    grpc_service.py NAME=ADDRESS[,cert=FILE,key=FILE][,ca=FILE]...

ADDRESS is that of a listener, or unix:PATH. What it prints and answers on its input is as in fault.py; counters are the
calls that began (`calls`), and those that the client gave up (`cancelled`).

Methods of the service test.Echo:

    Unary       answers with the message; with metadata `x-status: N` it fails with that status, and with `x-message` as its
                message, percent-decoded; with `x-delay: MS` later; with `x-size: N` the answer has N bytes
    Stream      answers with as many messages as the metadata `x-count` say: "MESSAGE 0" ...
    Bidi        answers each message with itself, "end" at the end of the client's
    Collect     answers with all messages joined by "+"
    Silent      never answers
    Count       answers the calls to it with status 0, 1, 2 and so on

Metadata of the request that begin with `x-echo-` come back as `x-initial-` and as `x-trailing-`.
"""

import collections
import concurrent.futures
import itertools
import json
import os
import sys
import threading
import time
import urllib.parse

import grpc

COUNTS = collections.defaultdict(collections.Counter)
LOCK = threading.Lock()
NUMBERS = itertools.count()


def count(counter):
    with LOCK:
        COUNTS["all"][counter] += 1


def begin(context):
    """Returns the metadata, after the initial metadata of the answer have been sent."""
    count("calls")
    sent = context.invocation_metadata()
    metadata = {}
    for name, value in sent:
        metadata[name] = value
    echoed = [(name.removeprefix("x-echo-"), value) for name, value in sent if name.startswith("x-echo-")]
    if echoed:
        context.send_initial_metadata([(f"x-initial-{name}", value) for name, value in echoed])
        context.set_trailing_metadata([(f"x-trailing-{name}", value) for name, value in echoed])
    return metadata


def end(context, metadata):
    if "x-status" in metadata:
        code = next(code for code in grpc.StatusCode if code.value[0] == int(metadata["x-status"]))
        context.abort(code, urllib.parse.unquote(metadata.get("x-message", "")))


def unary(message, context):
    metadata = begin(context)
    if "x-delay" in metadata:
        time.sleep(int(metadata["x-delay"]) / 1000)
    end(context, metadata)
    if "x-what" in metadata:
        # What arrived.
        return json.dumps(
            {
                "method": "/test.Echo/Unary",
                "metadata": [
                    [name, value if isinstance(value, str) else value.hex()]
                    for name, value in context.invocation_metadata()
                ],
                "message": message.decode("latin-1"),
                "remaining": context.time_remaining(),
            }
        ).encode()
    if "x-size" in metadata:
        return b"s" * int(metadata["x-size"])
    return message


def stream(message, context):
    metadata = begin(context)
    for number in range(int(metadata.get("x-count", 3))):
        if "x-delay" in metadata:
            time.sleep(int(metadata["x-delay"]) / 1000)
        yield message + b" %d" % number
    end(context, metadata)


def bidi(messages, context):
    metadata = begin(context)
    whole = False
    try:
        for message in messages:
            count("messages")
            yield message
        yield b"end"
        whole = True
    finally:
        # Whichever way the library stops a call whose client has gone.
        if not whole:
            count("cancelled")
    end(context, metadata)


def collect(messages, context):
    metadata = begin(context)
    collected = b"+".join(messages)
    end(context, metadata)
    return collected


def silent(message, context):
    begin(context)
    left = threading.Event()
    if not context.add_callback(left.set):
        left.set()
    left.wait()
    count("cancelled")
    return b""


def counting(message, context):
    begin(context)
    number = next(NUMBERS) % 17
    if number:
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == number), f"number {number}")
    return b""


def main():
    server = grpc.server(
        concurrent.futures.ThreadPoolExecutor(32),
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
    )
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Stream": grpc.unary_stream_rpc_method_handler(stream),
        "Bidi": grpc.stream_stream_rpc_method_handler(bidi),
        "Collect": grpc.stream_unary_rpc_method_handler(collect),
        "Count": grpc.unary_unary_rpc_method_handler(counting),
        "Silent": grpc.unary_unary_rpc_method_handler(silent),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    ports = {}
    for argument in sys.argv[1:]:
        name, _, rest = argument.partition("=")
        address, *options = rest.split(",")
        options = dict(option.partition("=")[::2] for option in options)
        if not address.startswith("unix:"):
            address = f"[{address}]:0" if ":" in address else f"{address}:0"
        if "cert" in options:
            files = {}
            for kind, path in options.items():
                with open(path, "rb") as content:
                    files[kind] = content.read()
            credentials = grpc.ssl_server_credentials(
                [(files["key"], files["cert"])], files.get("ca"), require_client_auth="ca" in files
            )
            ports[name] = server.add_secure_port(address, credentials)
        else:
            ports[name] = server.add_insecure_port(address)
    server.start()
    print(json.dumps(ports), flush=True)
    for line in sys.stdin:
        with LOCK:
            print(json.dumps(COUNTS if line.strip() == "stats" else {}), flush=True)
    os._exit(0)


main()
