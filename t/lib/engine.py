"""Which engine filters run on in tests (t/run --engine), for the suites in Python; Engine.pm is the same for those in Perl."""

import os
import re

# What takes longest to compile has a cache to itself (Engine.pm).
SLOW = re.compile(r"\b(?:go|template|higress)-[\w-]+\.wasm|\bcoraza\.wasm")


def name():
    """'wasmtime', 'pulley' or 'wasmedge'."""
    return os.environ.get("TEST_ENGINE") or "wasmtime"


def choose(conf):
    """A configuration that says nothing of the engine, for the one of this run: WasmEdge with the cache that all tests share."""
    if name() == "wasmtime":
        return conf
    conf = re.sub(r"^http \{", f"http {{ wasm_vm {name()};", conf, count=1, flags=re.M)
    if name() != "wasmedge":
        return conf
    kind = "-slow" if SLOW.search(conf) else ""
    cache = os.path.join(os.environ["TEST_WASM_ROOT"], "build/t", f"cache-{name()}{kind}")
    return re.sub(r"^wasm \{", f"wasm {{ cache_dir {cache};", conf, count=1, flags=re.M)
