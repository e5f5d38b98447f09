#!/usr/bin/env python3
"""Requests to a real nginx that nobody would send, through a filter that nobody would write: in each callback it makes host
calls with any numbers, as a program in a header of the request says (src/proxy_wasm/fuzzing/guest.rs). `tools/fuzz.sh live`
and `tools/fuzz.sh lua` are the callers; with nginx built with AddressSanitizer the unsafe code of the module is what is tested.

After each batch the worker must be the same process, and the error log free of panics, signals and broken rules.
"""

import argparse
import os
import pathlib
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../t/lib"))

from free_ports import free_ports  # noqa: E402

CONFIGURATION = """
{load}
daemon off;
master_process on;
worker_processes 1;
error_log {work}/error.log info;
pid {work}/nginx.pid;
worker_shutdown_timeout 3s;
events {{ worker_connections 512; }}
{wasm}
http {{
    access_log off;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    large_client_header_buffers 8 128k;
    client_body_buffer_size 1k;
    client_body_timeout 2s; client_header_timeout 2s; send_timeout 2s; keepalive_timeout 2s;
    proxy_read_timeout 2s;
    wasm_timeout 500ms;
    {directives}
    upstream service {{ server 127.0.0.1:{up}; }}
    server {{
        listen 127.0.0.1:{port};
        error_page 503 /error;
        location / {{ {filter} return 200 "a plain answer\\n"; }}
        location /error {{ return 503 "no\\n"; }}
        location /two {{ {filter} {filter} return 200 "two filters\\n"; }}
        location /file {{ {filter} root {work}; }}
        location /proxy {{ {filter} proxy_pass http://127.0.0.1:{up}; }}
        location /buffered {{ {filter} proxy_pass http://127.0.0.1:{up}; proxy_request_buffering off; proxy_buffering off; }}
        location /rewritten {{ {filter} rewrite ^ /two last; }}
        location /request {{ {request} {filter} proxy_pass http://127.0.0.1:{up}; }}
    }}
    server {{
        listen 127.0.0.1:{up};
        location / {{ return 200 "from upstream, {filler}\\n"; }}
        location ~ bad {{ return 502; }}
    }}
}}
"""

LUA_CONFIGURATION = """
{load}
daemon off;
master_process on;
worker_processes 1;
error_log {work}/error.log info;
pid {work}/nginx.pid;
worker_shutdown_timeout 3s;
events {{ worker_connections 512; }}
{wasm}
http {{
    access_log off;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    large_client_header_buffers 8 128k;
    client_body_buffer_size 1k;
    client_body_timeout 2s; client_header_timeout 2s; send_timeout 2s; keepalive_timeout 2s;
    wasm_vm wasmtime;
    wasm_timeout 100ms;
    wasm_pause_timeout 300ms;
    lua_package_path "{here}/?.lua;{root}/lua/?.lua;;";
    lua_max_pending_timers 4096; lua_max_running_timers 1024;
    init_by_lua_block {{ require("play").guests = {{ {guests} }} }}
    upstream service {{ server 127.0.0.1:{up}; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            rewrite_by_lua_block {{ require("play").run(0) }}
            access_by_lua_block {{ require("play").run(1) }}
            content_by_lua_block {{ require("play").run(2) ngx.say("ok") }}
            header_filter_by_lua_block {{ require("play").run(3) }}
            body_filter_by_lua_block {{ require("play").run(4) }}
            log_by_lua_block {{ require("play").run(5) }}
        }}
        location /proxy {{
            rewrite_by_lua_block {{ require("play").run(0) }}
            header_filter_by_lua_block {{ require("play").run(3) }}
            body_filter_by_lua_block {{ require("play").run(4) }}
            proxy_pass http://127.0.0.1:{up};
        }}
        location /two {{
            {filter}
            access_by_lua_block {{ require("play").run(1) }}
            header_filter_by_lua_block {{ require("play").run(3) }}
            body_filter_by_lua_block {{ require("play").run(4) }}
            return 200 "a filter and Lua\\n";
        }}
    }}
    server {{
        listen 127.0.0.1:{up};
        location / {{ return 200 "from upstream, {filler}\\n"; }}
        location ~ bad {{ return 502; }}
    }}
}}
"""

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent

# What the log says when the module, and not the guest, has done wrong: an SDK stops at contexts that it does not know, or
# knows already.
WRONG = re.compile(
    r"bug in the module|context_id|exited on signal|exited with code [^0]|unknown_status|failed_but_wrote|\[emerg\]|"
    r"\[alert\](?!.*(?:open socket #\d+ left|aborting$))|AddressSanitizer"
)


class Server:
    def __init__(self, arguments, work, with_directives):
        self.work, self.arguments = work, arguments
        self.port, up = free_ports(2)
        directives = with_directives if not arguments.plain else ""
        request = "proxy_wasm_isolation request;" if not arguments.plain else ""
        guests = [ROOT / f"build/guests/rust-{name}.wasm" for name in ("probe", "lifecycle", "bodies", "headers")]
        guests += [work / "guest.wat", work / "file", work / "nothing"]
        text = (LUA_CONFIGURATION if arguments.lua else CONFIGURATION).format(
            here=ROOT / "fuzz/live",
            root=ROOT,
            guests=", ".join(f'"{guest}"' for guest in guests),
            load="".join(f"load_module {module};\n" for module in arguments.module),
            work=work,
            wasm=f"wasm {{ module guest {work}/guest.wat 'vm'; }}",
            filter="proxy_wasm guest 'conf';",
            request=request,
            directives=directives,
            port=self.port,
            up=up,
            filler="x" * 3000,
        )
        (work / "nginx.conf").write_text(text)
        (work / "file").write_bytes(b"a file\n" * 5000)
        self.log = work / "error.log"
        self.seen = 0
        command = [*arguments.wrapper, arguments.nginx, "-p", work, "-e", self.log, "-c", work / "nginx.conf"]
        self.process = subprocess.Popen([str(part) for part in command])
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"nginx does not start: {self.log.read_text(errors='replace')[-3000:]}")
                select.select([], [], [], 0.05)

    def wrong(self):
        """The lines of the log since the last time that say that something is wrong."""
        with open(self.log, "rb") as log:
            log.seek(self.seen)
            text = log.read()
        # A line that is not whole is for the next time.
        end = text.rfind(b"\n") + 1
        self.seen += end
        return [line for line in text[:end].decode(errors="replace").splitlines() if WRONG.search(line)]

    def stop(self):
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return ["nginx has not ended a minute after SIGQUIT"]
        return [f"nginx ended with {self.process.returncode}"] if self.process.returncode else []


def request(chance, program, lua):
    """The bytes of a request, and whether the client stays for the answer."""
    places = ["/", "/two", "/file", "/proxy", "/proxy/bad", "/buffered", "/rewritten", "/request", "/none"]
    if lua:
        places = ["/", "/", "/a", "/proxy", "/proxy/bad", "/two"]
    method = chance.choice(["GET", "GET", "POST", "PUT", "HEAD", "OPTIONS"])
    path = chance.choice(places) + chance.choice(["", "?a=b", "?" + "c" * chance.randrange(300), "/%2e%2e/x", "//x"])
    if lua:
        path = path.split("?")[0] + f"?seed={chance.randrange(1 << 30)}"
    lines = [f"{method} {path} HTTP/1.{chance.choice('1110')}", "Host: h"]
    lines += [f"x-{n}: {'v' * chance.randrange(60)}" for n in range(chance.randrange(6))]
    if chance.random() < 0.95:
        lines.append(f"x-program: {program}")
    body = b""
    if method in ("POST", "PUT") or chance.random() < 0.1:
        content = chance.randbytes(chance.choice([0, 1, 10, 900, 5000, 70000]))
        if chance.random() < 0.4:
            lines.append("Transfer-Encoding: chunked")
            while content:
                piece = content[: chance.randrange(1, 4000)]
                content = content[len(piece) :]
                body += b"%x\r\n%b\r\n" % (len(piece), piece)
            body += b"0\r\n" + chance.choice([b"", b"", b"x-trailer: 1\r\n"]) + b"\r\n"
        else:
            lines.append(f"Content-Length: {len(content)}")
            body = content
    if chance.random() < 0.3:
        lines.append("Connection: close")
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    leaves = chance.random()
    if leaves < 0.05:
        whole = whole[: chance.randrange(len(whole))]
    return whole, leaves >= 0.1


def batch(server, chance, programs, count):
    """Sends requests side by side. What comes back does not matter, only that the server lives."""
    open_sockets = {}
    waiting = [request(chance, program, server.arguments.lua) for program in programs[:count]]
    deadline = time.monotonic() + 120
    while waiting or open_sockets:
        while waiting and len(open_sockets) < 8:
            data, stays = waiting.pop()
            # Some send more than one request over a connection.
            if waiting and chance.random() < 0.2:
                more, stays = waiting.pop()
                data += more
            try:
                one = socket.create_connection(("127.0.0.1", server.port), 5)
                one.sendall(data)
            except OSError:
                continue
            if stays:
                open_sockets[one] = time.monotonic() + 4
            else:
                one.close()
        now = time.monotonic()
        if now > deadline:
            return ["requests are still open after two minutes"]
        ready, _, _ = select.select(list(open_sockets), [], [], 0.02)
        for one in ready:
            try:
                data = one.recv(65536)
            except OSError:
                data = b""
            # Kept-alive connections are closed soon after something came.
            if not data or chance.random() < 0.3:
                one.close()
                del open_sockets[one]
        for one in [one for one, end in open_sockets.items() if end < now]:
            one.close()
            del open_sockets[one]
    return []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--nginx", required=True)
    parser.add_argument("--module", action="append", default=[], help="a dynamic module to load; may come several times")
    parser.add_argument("--short", required=True, help="the program 'short', for guest and programs")
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--reports", type=pathlib.Path, help="a folder that must stay empty")
    parser.add_argument("--wrapper", nargs="*", default=[])
    parser.add_argument("--plain", action="store_true", help="without directives of later versions")
    parser.add_argument("--lua", action="store_true", help="through Lua, see play.lua, and not with directives")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--batches", type=int, default=10)
    arguments = parser.parse_args()

    work = arguments.work.resolve()
    shutil.rmtree(work, ignore_errors=True)
    for folder in ("body", "proxy", "logs"):
        (work / folder).mkdir(parents=True)
    os.chmod(work, 0o755)
    os.chmod(work / "body", 0o777)
    guest = subprocess.run([arguments.short, "--guest"], check=True, stdout=subprocess.PIPE)
    (work / "guest.wat").write_bytes(guest.stdout)
    directives = "proxy_wasm_on_error reload; proxy_wasm_restart_delay 1ms 1ms;"
    server = Server(arguments, work, directives)

    begin, executions, findings, number = time.monotonic(), 0, 0, 0
    # Each loads some modules in Lua, and pauses.
    count = 50 if arguments.lua else 200
    while (time.monotonic() - begin < arguments.seconds) if arguments.seconds else (number < arguments.batches):
        seed = arguments.seed + number
        command = [arguments.short, "--seed", str(seed), "--programs", str(count)]
        programs = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        wrong = batch(server, random.Random(seed), programs, count)
        executions += count
        number += 1
        wrong += server.wrong()
        if arguments.reports:
            reports = sorted(arguments.reports.glob("*"))
            wrong += [f"a report: {report}" for report in reports]
            for report in reports:
                kept = work / "kept-reports"
                kept.mkdir(exist_ok=True)
                shutil.move(report, kept)
        if server.process.poll() is not None:
            wrong.append(f"nginx has ended with {server.process.returncode}")
        if wrong:
            findings += 1
            print(f"live: batch {number}, seed {seed}:")
            print("".join(f"    {line[:600]}\n" for line in wrong[:10]), flush=True)
            if findings == 10:
                break
            if server.process.poll() is not None:
                server = Server(arguments, work, directives)
    wrong = server.stop() + server.wrong()
    if wrong:
        findings += 1
        print("live: at the end:\n" + "".join(f"    {line[:600]}\n" for line in wrong[:10]))
    elapsed = time.monotonic() - begin
    print(f"live: {executions} requests, {elapsed:.0f} s, {findings} findings (seeds {arguments.seed} to {seed})")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
