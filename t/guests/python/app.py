"""Guest `app`: a web application as WSGI has them, run as a CGI program by Python's own library. The interpreter is the module
`python`, and this file is in a directory that it is given; or it is the module `python-snapshot`, which has the application inside."""

import hashlib
import os
import random
import sys
from urllib.parse import parse_qs
from wsgiref.handlers import CGIHandler

# Where files for /file are.
FILES = "/files"

# How often this has been asked, for /counter.
asked = 0


def index(environ, query):
    return text("200 OK", f"hello from Python {sys.version_info.major}.{sys.version_info.minor}\n")


def form(environ, query):
    size = int(environ.get("CONTENT_LENGTH") or 0)
    fields = parse_qs(environ["wsgi.input"].read(size).decode())
    lines = [f"{name}: {' and '.join(values)}\n" for name, values in sorted(fields.items())]
    return text("200 OK", "".join(lines))


def upload(environ, query):
    size, digest = 0, hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
        digest.update(piece)
    return text("201 Created", f"{size} bytes, {digest.hexdigest()}\n")


def download(environ, query):
    def pieces(left):
        while left > 0:
            yield b"p" * min(left, 10_000)
            left -= 10_000

    return "200 OK", [("Content-Type", "application/octet-stream")], pieces(int(query.get("n", ["1000"])[0]))


def file(environ, query):
    name = query.get("name", [""])[0]
    try:
        with open(f"{FILES}/{name}", "rb") as opened:
            return "200 OK", [("Content-Type", "text/plain")], [opened.read()]
    except OSError as err:
        return text("404 Not Found", f"{name}: {type(err).__name__}\n")


def env(environ, query):
    names = query.get("name", ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL"])
    return text("200 OK", "".join(f"{name}={environ.get(name)}\n" for name in names))


def cookies(environ, query):
    fields = [("Content-Type", "text/plain"), ("Set-Cookie", "first=1; Path=/"), ("Set-Cookie", "second=2; HttpOnly")]
    return "200 OK", fields, [environ.get("HTTP_COOKIE", "none").encode(), b"\n"]


def error(environ, query):
    raise RuntimeError("as it was asked for")


def leave(environ, query):
    # Behind the back of WSGI, which makes an answer of exceptions.
    os._exit(3)


# Numbers of this start, and whether one is the same in a table of Python's own.
def drawn(environ, query):
    return text("200 OK", f"{os.urandom(8).hex()} {random.getrandbits(64):x} {hash('a string')}\n")


def counter(environ, query):
    global asked
    asked += 1
    return text("200 OK", f"count {asked}\n")


def log(environ, query):
    print("to the log of WSGI", file=environ["wsgi.errors"])
    print("to standard error", file=sys.stderr)
    return text("200 OK", "said\n")


ROUTES = {
    "": index, "/": index, "/form": form, "/upload": upload, "/download": download, "/file": file, "/env": env,
    "/cookies": cookies, "/error": error, "/leave": leave, "/random": drawn, "/counter": counter, "/log": log,
}


def text(status, body):
    return status, [("Content-Type", "text/plain; charset=utf-8")], [body.encode()]


def application(environ, start_response):
    route = ROUTES.get(environ.get("PATH_INFO", ""))
    if route is None:
        status, fields, body = text("404 Not Found", "there is nothing\n")
    else:
        status, fields, body = route(environ, parse_qs(environ.get("QUERY_STRING", "")))
    start_response(status, fields)
    return body


if __name__ == "__main__":
    CGIHandler().run(application)
