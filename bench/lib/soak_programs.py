"""Programs and functions that answer locations, good ones among some that trap, loop, grow, exit, recurse, cut their answers short
and write for ever, and clients that leave. Every answer is checked. Fails when one is wrong, when the worker is another one in the end, or
when it keeps memory, threads or descriptors.

  bench/run soak-programs [installed | vendored | /path/to/configured/objs] [--seconds N] [--connections N]

  --seconds      how long (default 60); a tenth of that comes before, and does not count
  --connections  clients (default 24)
"""

import argparse
import asyncio
import collections
import os
import sys
import time

from nginx import MODULE, ROOT, Nginx
from processes import free_ports, memory_kib

# How much memory may grow from the first third to the last: instances that are kept come and go with those that grow.
GROWTH_KIB = 65536
# Path, body, and what is to come: a status, with the end of the body; CUT, or LEAVES for a client that does not wait.
CUT, LEAVES = "cut", "leaves"
REQUESTS = (
    ("/p/hello", b"", 200),
    ("/s/counter", b"", 200),
    ("/p/echo", b"e" * 100_000, 200),
    ("/p/large?n=300000", b"", 200),
    ("/f/echo", b"hello", 200),
    ("/f/greet", b"nginx", 200),
    ("/go/headers?name=host", b"", 200),
    ("/python/", b"", 200),
    ("/p/trap", b"", 502),
    ("/p/panic", b"", 502),
    ("/p/recurse", b"", 502),
    ("/p/exit?code=3", b"", 502),
    ("/p/close", b"", 502),
    ("/p/loop", b"", 504),
    ("/p/grow", b"", 200),
    ("/f/fail", b"no", 500),
    ("/f/trap", b"", 500),
    ("/f/grow", b"", None),
    ("/p/trap-late", b"", CUT),
    ("/p/short", b"", CUT),
    ("/p/drip?n=1000&ms=10", b"", LEAVES),
    ("/p/large?n=50000000", b"", LEAVES),
)


def configure(nginx):
    def module(name, file):
        return f"    module {name} {os.path.join(ROOT, 'build/guests', file)}.wasm;\n"

    nginx.write(
        f"load_module {MODULE};\nwasm {{\n"
        + module("program", "rust-program")
        + module("go", "go-cgi")
        + module("python", "python-snapshot")
        + module("plugin", "rust-extism")
        + "}\n",
        "    wasm_threads 16 queue=1000;\n    wasm_timeout 500ms;\n    wasm_memory_limit 64m;\n    client_max_body_size 10m;\n",
        "        location /p/ { wasm_cgi program; }\n"
        "        location /s/ { wasm_cgi program; wasm_snapshot on; }\n"
        "        location /go/ { wasm_cgi go; wasm_timeout 10s; }\n"
        "        location /python/ { wasm_cgi python; wasm_snapshot on; wasm_timeout 10s; }\n"
        + "".join(f"        location = /f/{name} {{ wasm_function plugin {name}; }}\n" for name in ("echo", "greet", "fail", "trap", "grow")),
    )


async def ask(port, path, body, wanted):
    """What is wrong with the answer to a request, if anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        method = "POST" if body else "GET"
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: soak\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        if wanted == LEAVES:
            await reader.read(1000)
            return None
        answer = await asyncio.wait_for(reader.read(), 60)
    except (ConnectionError, asyncio.TimeoutError) as err:
        return repr(err)
    finally:
        writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head[9:12]) if head[:5] == b"HTTP/" else 0
    is_chunked = b"transfer-encoding: chunked" in head.lower()
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    is_whole = content.endswith(b"0\r\n\r\n") if is_chunked else not lengths or len(content) == lengths[0]
    if wanted == CUT:
        return None if not is_whole else f"{status}, and nothing shows that it was cut"
    if wanted is not None and (status != wanted or not is_whole):
        return f"{status}, {len(content)} bytes, {'whole' if is_whole else 'cut'}; wanted {wanted}"
    return None


async def client(port, number, end, counts, wrong):
    n = number
    while time.monotonic() < end:
        n += 5
        path, body, wanted = REQUESTS[n % len(REQUESTS)]
        reason = await ask(port, path, body, wanted)
        counts[path] += 1
        if reason and len(wrong) < 20:
            wrong.append(f"{path}: {reason}")


async def load(nginx, connections, seconds, samples):
    end = time.monotonic() + seconds
    counts, wrong = collections.Counter(), []

    async def watch():
        while time.monotonic() < end:
            folder = f"/proc/{nginx.pid}"
            samples.append((memory_kib(nginx.pid)[1], len(os.listdir(f"{folder}/task")), len(os.listdir(f"{folder}/fd"))))
            await asyncio.sleep(1)

    await asyncio.gather(watch(), *(client(nginx.port, number, end, counts, wrong) for number in range(connections)))
    return counts, wrong


def main():
    parser = argparse.ArgumentParser(prog="bench/run soak-programs", add_help=False)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--connections", type=int, default=24)
    arguments = parser.parse_args()

    nginx = Nginx("soak-programs", free_ports(1)[0])
    configure(nginx)
    samples = []
    try:
        # Compiling takes long beside other work.
        nginx.start(patience=300)
        worker = nginx.pid
        asyncio.run(load(nginx, arguments.connections, max(arguments.seconds // 10, 5), []))
        idle = len(os.listdir(f"/proc/{worker}/fd"))
        counts, wrong = asyncio.run(load(nginx, arguments.connections, arguments.seconds, samples))
        time.sleep(1)
        idle_after = len(os.listdir(f"/proc/{worker}/fd"))
        same_worker = nginx.current_worker() == worker
    finally:
        nginx.stop()
    with open(os.path.join(nginx.prefix, "error.log"), errors="replace") as log:
        bad = [line for line in log if "[alert]" in line or "[emerg]" in line or "bug in the module" in line]

    third = max(len(samples) // 3, 1)
    first, last = samples[:third], samples[-third:]
    peaks = [tuple(max(sample[n] for sample in part) for n in range(3)) for part in (first, last)]
    print(f"{sum(counts.values())} requests in {arguments.seconds} s, {arguments.connections} connections, {len(REQUESTS)} kinds")
    for what, n, unit in (("memory", 0, " KiB"), ("threads", 1, ""), ("descriptors", 2, "")):
        print(f"  {what:12} at most {peaks[0][n]}{unit} in the first third, {peaks[1][n]}{unit} in the last")
    print(f"  descriptors when nobody asks: {idle} before, {idle_after} after")
    failures = [*wrong, *(line.rstrip() for line in bad[:10])]
    if not same_worker:
        failures.append("the worker is another one")
    if peaks[1][0] > peaks[0][0] + GROWTH_KIB:
        failures.append("its memory grows")
    if peaks[1][1] > peaks[0][1] + 1 or idle_after > idle + 2:
        failures.append("it keeps threads or descriptors")
    if failures:
        sys.exit("\n".join(failures))


main()
