"""What became of a request, as a flat dictionary of aspects that can be compared and listed one by one."""

import re
import struct
import time

from traces import callbacks

# Headers that are the server's own and not of the filter or the other end.
OWN_IN_RESPONSE = {"server", "date", "connection", "keep-alive"}
OWN_IN_REQUEST = {"connection", "x-request-id", "x-forwarded-proto", "via"}
OWN_PREFIX = "x-envoy-"
LONG = 400


def is_own(name, own):
    return name in own or name.startswith(OWN_PREFIX)


def aspects(responses, seen, log_lines, port):
    result = {}
    for number, response in enumerate(responses):
        prefix = f"{number + 1}. " if len(responses) > 1 else ""
        result[f"{prefix}status"] = response.status
        result[f"{prefix}body"] = short(response.body.decode("latin-1"))
        if response.end != "complete":
            result[f"{prefix}end"] = response.end
        if response.interim:
            result[f"{prefix}interim responses"] = response.interim
        collect(result, f"{prefix}response header", response.headers, OWN_IN_RESPONSE)
        collect(result, f"{prefix}response trailer", response.trailers, ())
    result["reached the upstream"] = len(seen)
    for number, request in enumerate(seen):
        prefix = f"upstream's {number + 1}. " if len(seen) > 1 else "upstream "
        result[f"{prefix}method"] = request["method"]
        result[f"{prefix}target"] = request["target"]
        result[f"{prefix}body"] = short(request["body"])
        if not request["whole"]:
            result[f"{prefix}end"] = "closed before the end of the request"
        collect(result, f"{prefix}header", request["headers"], OWN_IN_REQUEST)
        collect(result, f"{prefix}trailer", request["trailers"], ())
    of_trace(result, callbacks(log_lines), port)
    return result


def collect(result, side, headers, own):
    """Values by lower-case name, in their order. The order of different names is up to a server."""
    for name, value in headers:
        if not is_own(name, own):
            result.setdefault(f"{side} {name}", []).append(value)


def short(text):
    if len(text) <= LONG:
        return text
    # Python's hash of text differs from run to run; this need not be a good one.
    return f"{text[:60]}... ({len(text)} bytes, sum {sum(map(ord, text))}, {text[-20:]!r})"


def of_trace(result, trace, port):
    """The sequence of callbacks, then what each was told and what its statements gave."""
    ends = [callback for callback in trace if callback.name in ("done", "log", "delete")]
    # When a context is made is up to the server.
    made = [callback for callback in trace if callback.name == "create"]
    result["filters begin"] = [callback.filter for callback in made]
    result["callbacks"] = [f"{callback.filter} {callback.name}" for callback in trace if callback not in ends + made]
    for filter in dict.fromkeys(callback.filter for callback in trace):
        result[f"{filter} ends"] = [callback.name for callback in ends if callback.filter == filter]
    result["filters end"] = [callback.filter for callback in ends if callback.name == "delete"]
    times = {}
    for callback in trace:
        key = f"{callback.filter} {callback.name}"
        times[key] = times.get(key, 0) + 1
        if times[key] > 1:
            key += f" {times[key]}"
        if callback.arguments:
            result[f"{key} is told"] = callback.arguments
        if callback.action != "0":
            result[f"{key} returns"] = callback.action
        listed = None
        for line in callback.results:
            if line.startswith("* "):
                name, _, value = line[2:].partition(": ")
                own = OWN_IN_RESPONSE if listed.split()[1] in ("2", "3") else OWN_IN_REQUEST
                if not is_own(name, own):
                    result.setdefault(f"{key}: {listed}: {name}", []).append(value)
                continue
            statement, _, value = line.partition(" -> ")
            listed = statement
            aspect = f"{key}: {statement}"
            while aspect in result:
                aspect += " again"
            result[aspect] = masked(statement, value, port)


# Values that differ from request to request. What is masked is checked first.


def number(value):
    """The number that a property of eight bytes is, or None."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda hex: bytes([int(hex[1], 16)]), value.encode("latin-1"))
    return struct.unpack("<q", raw)[0] if len(raw) == 8 else None


def moment(value):
    return abs((number(value) or 0) / 1e9 - time.time()) < 600


def duration(value):
    return 0 <= (number(value) if number(value) is not None else -1) < 600e9


def size(value):
    return (number(value) or 0) > 0


def address(value):
    return re.fullmatch(r"127\.0\.0\.1:\d+", value)


def port_number(value):
    return 0 < (number(value) or 0) < 65536


MASKS = {
    "request|time": (moment, "now"),
    "request|duration": (duration, "a duration"),
    "response|backend_latency": (duration, "a duration"),
    "request|id": (lambda value: re.fullmatch(r"[0-9a-f-]{32,36}", value), "an id"),
    "connection|id": (lambda value: (number(value) or 0) >= 0 and number(value) is not None, "a number"),
    # With the head of the message, which each protocol and server counts in its way.
    "request|total_size": (size, "a size"),
    "response|total_size": (size, "a size"),
    "source|address": (address, "127.0.0.1 and a port"),
    "source|port": (port_number, "a port"),
    "destination|address": (address, "127.0.0.1 and a port"),
    "destination|port": (port_number, "a port"),
    "upstream|address": (address, "127.0.0.1 and a port"),
    "upstream|port": (port_number, "a port"),
    "upstream|local_address": (address, "127.0.0.1 and a port"),
}


def masked(statement, value, port):
    verb, _, rest = statement.partition(" ")
    if verb == "property" and value.startswith("0 ") and rest in MASKS:
        check, mask = MASKS[rest]
        if rest.startswith("destination|"):
            there = value[2:].rsplit(":", 1)[-1] if rest == "destination|address" else str(number(value[2:]))
            return "0 the listener" if there == str(port) else value
        return f"0 {mask}" if check(value[2:]) else value
    if verb == "raw":
        # Where the guest's allocator puts things is its own affair.
        return value.split(" ")[0]
    return short(value)
