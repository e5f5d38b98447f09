"""Load on a server: as much as it can take (wrk), and a fixed rate, by a client of our own. For bench/run all, calls and soak."""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import time

from processes import FOR_OTHERS


class Wrk:
    """One run of wrk: how many requests it got answers to, in which time, and what went wrong. It ends after `seconds`, which
    may be a part of one."""

    def __init__(self, url, connections, seconds, script=None):
        command = ["wrk", "-t", "1", "-c", str(connections), "-d", "600s", "--timeout", "30s"]
        process = subprocess.Popen(
            [*command, *(["-s", script] if script else []), url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=prepare,
        )
        end = time.monotonic() + seconds
        while process.poll() is None:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                # It says then what it has found so far; unless it has only just begun, and does not listen yet.
                process.send_signal(signal.SIGINT)
        self.output = process.communicate()[0]
        if process.returncode != 0:
            sys.exit(f"wrk failed:\n{self.output}")
        self.requests = 0
        self.seconds = 0.0
        self.problems = []
        for line in self.output.splitlines():
            words = line.split()
            if " requests in " in line:
                self.requests = int(words[0])
                self.seconds = in_seconds(words[3].rstrip(","))
            if line.lstrip().startswith(("Non-2xx", "Socket errors:")):
                self.problems.append(line.strip())

    def per_second(self):
        return self.requests / self.seconds


def prepare():
    """In the process that is to be wrk."""
    os.sched_setaffinity(0, FOR_OTHERS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def in_seconds(text):
    """A time as wrk writes it: 1.01s, 512.30ms, 1.20m."""
    for unit, factor in (("us", 1e-6), ("ms", 1e-3), ("s", 1), ("m", 60), ("h", 3600)):
        if text.endswith(unit):
            return float(text[: -len(unit)]) * factor
    sys.exit(f"wrk has written a time that is not understood: {text}")


def wrk_script(request, folder):
    """The path of what makes wrk send this request; None where it does so by itself."""
    if not request.headers and request.method == "GET":
        return None
    path = os.path.join(folder, f"wrk{request.name}.lua")
    with open(path, "w") as out:
        out.write(f'wrk.method = "{request.method}"\n')
        out.writelines(f'wrk.headers["{name}"] = [==[{value}]==]\n' for name, value in request.headers)
        if request.body:
            out.write(f"wrk.body = [==[{request.body.decode()}]==]\n")
    return path


def message(request, path):
    """The bytes of a request over a connection that is kept."""
    headers = {"Host": "127.0.0.1", **dict(request.headers)}
    lines = [f"{request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if request.body:
        lines.append(f"Content-Length: {len(request.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + request.body


def is_whole(answer):
    """Whether these bytes are all of a response."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    lines = head.lower().split(b"\r\n")
    for line in lines:
        if line.startswith(b"content-length:"):
            return len(body) >= int(line[15:])
    return b"transfer-encoding: chunked" in lines and body.endswith(b"0\r\n\r\n")


class FixedRate:
    """Requests that begin at equal distances, whether or not the ones before have been answered: what is late because the
    server was busy counts as time of the request. `times` has the seconds from when each was due to when it was answered."""

    def __init__(self, port, data, rate, seconds, connections, patience=30):
        self.data = data
        self.due_times = [number / rate for number in range(max(1, int(rate * seconds)))]
        self.times = []
        self.problems = []
        self.idle = [connect(port) for _ in range(connections)]
        self.busy = {}  # socket: (when it was due, what has come)
        # No pause of our own in between.
        gc.disable()
        try:
            self.run(patience)
        finally:
            gc.enable()
            for one in [*self.idle, *self.busy]:
                one.close()

    def run(self, patience):
        now = time.monotonic
        begin = now() + 0.01
        number, count = 0, len(self.due_times)
        give_up = begin + self.due_times[-1] + patience
        while number < count or self.busy:
            at = now()
            while number < count and self.idle and begin + self.due_times[number] <= at:
                one = self.idle.pop()
                one.sendall(self.data)
                self.busy[one] = (begin + self.due_times[number], b"")
                number += 1
            if at > give_up:
                self.problems.append(f"{len(self.busy)} requests have no answer after {patience} s")
                return
            wait = 1.0
            if number < count and self.idle:
                wait = max(0.0, begin + self.due_times[number] - now())
            # (select counts in microseconds, epoll in milliseconds.)
            for one in select.select(list(self.busy), [], [], wait)[0]:
                self.receive(one, now)
            if self.problems:
                return

    def receive(self, one, now):
        due, had = self.busy[one]
        piece = one.recv(65536)
        answer = had + piece
        if is_whole(answer):
            self.times.append(now() - due)
            if not answer.startswith(b"HTTP/1.1 200"):
                self.problems.append(answer.split(b"\r\n")[0].decode(errors="replace"))
            del self.busy[one]
            self.idle.append(one)
        elif piece:
            self.busy[one] = (due, answer)
        else:
            self.problems.append(f"the connection was closed after {answer!r}")

    def percentile(self, share):
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def connect(port):
    one = socket.create_connection(("127.0.0.1", port), 30)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one
