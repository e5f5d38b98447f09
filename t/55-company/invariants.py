"""What must hold for every case. `Judge` compares a case with its twin, the same request to the same feature without a
filter, and tells what is wrong.

The numbers are those of docs/development.md:

    1  what is refused gives nothing of what is guarded, and nobody is asked for it
    2  what goes on is as without the filter
    3  every request ends in time
    4  the next request on the connection is right
    5  the error log has no line that the case does not explain
    6  what is changed is changed wholly, what is added is there once
"""

import gzip
import re
import zlib
import hashlib
from dataclasses import dataclass

import bodies
import deeds

# Headers that say how a message is delimited, which strict clients check, or how long a connection lasts.
FRAMING = ("content-length", "transfer-encoding", "connection", "keep-alive")
TIMES = ("date", "expires")
REQUEST_FRAMING = ("content-length", "transfer-encoding", "connection", "te")
CODINGS = (["gzip"], ["deflate"])
# Answers of a gRPC server have their status elsewhere.
GRPC_STATUS = {403: "7"}


@dataclass
class Wrong:
    invariant: int
    aspect: str
    wanted: object
    got: object


@dataclass
class Outcome:
    """What became of a case."""

    answer: object
    # What upstreams were asked.
    seen: list
    # (level, text) of the error log.
    lines: list
    # Status and body, when it was asked for again without filters.
    again: tuple = None


def decoded(answer):
    coding = answer.header("content-encoding")
    if coding in CODINGS and answer.body:
        try:
            return gzip.decompress(answer.body) if coding == ["gzip"] else zlib.decompress(answer.body)
        except (OSError, EOFError, zlib.error):
            return f"(not {coding[0]}) ".encode() + answer.body
    return answer.body


def neutral(text, case):
    """Without what names the case, and without the boundary of ranges, which is a number that counts."""
    is_bytes = isinstance(text, bytes)
    text = text.decode("latin-1") if is_bytes else text
    text = text.replace(str(case.number), "NUMBER").replace(case.host, "HOST").replace(case.address or case.host, "HOST").replace("&paced=1", "")
    text = re.sub(r"(boundary=|^--|\n--)\d{20}", r"\1BOUNDARY", text)
    return text.encode("latin-1") if is_bytes else text


def headers(answer, case):
    return [(name, neutral(value, case)) for name, value in answer.headers if name not in FRAMING and name not in TIMES]


class Judge:
    def __init__(self, case, outcome, twin, twin_outcome, asked):
        """`asked`: what upstreams were asked for the same request, where the twin is another one."""
        self.case, self.outcome = case, outcome
        self.answer = outcome.answer
        self.twin, self.twin_outcome = twin, twin_outcome
        self.expected = twin_outcome.answer
        self.asked_by_twin = asked
        self.wrong = []

    def add(self, invariant, aspect, wanted, got):
        self.wrong.append(Wrong(invariant, aspect, wanted, got))

    def check(self, invariant, aspect, wanted, got):
        if wanted != got:
            self.add(invariant, aspect, wanted, got)

    # What happens.

    def guarded(self):
        """What of the twin's body the filter sees."""
        shape = self.case.feature.shape
        body = decoded(self.expected)
        if not shape:
            return body
        seen = []

        def look(part):
            seen.append(part)
            return part

        shape(body, look)
        return b"".join(seen)

    def happens(self, place):
        """Whether the filter has this callback."""
        feature, request, expected = self.case.feature, self.case.request, self.expected
        role = feature.role
        if self.case.setting == "access" and (feature.is_early or self.is_refused_by_nginx()):
            return False  # The response comes from an earlier phase.
        if place == "request-headers":
            return True
        if place == "request-body":
            if role in ("guard", "part", "background"):
                return False
            return request.has_body and (self.reads_first() or not self.is_refused_by_nginx())
        if role == "left" or feature.tunnel and place == "response-body":
            return False
        if place == "response-headers" or place == "":
            return True
        if role == "guard" or request.method == "HEAD" or expected.status in (204, 304):
            return False
        if expected.status == 416 and self.case.content == "empty":
            return False  # nginx refuses the range of no body behind the filters.
        return bool(self.guarded())

    def reads_first(self):
        """The filter holds the headers until it has seen the body."""
        deed = self.case.deed
        return deed.reads_first or deed.name == "resumes-request-headers" and self.case.setting == "stop"

    @property
    def is_bare(self):
        """The answer has no status and no headers."""
        return self.case.request.version == "0.9"

    def is_aside(self):
        """The filter is in front of a subrequest."""
        return self.case.feature.role in ("guard", "background", "part")

    def is_refused_by_nginx(self):
        return self.case.feature.refuses and self.expected.status in (401, 403, 503)

    def judge(self):
        case, deed, role = self.case, self.case.deed, self.case.feature.role
        if any("no end within" in fault for fault in self.answer.faults):
            self.add(3, "end", f"an end within {case.bound} s", self.so_far())
        for fault in self.answer.faults:
            if "no end within" not in fault:
                self.add(4, "framing", "an answer and nothing else", fault)
        happens = self.happens(deed.place)
        if role == "background":
            self.goes_on()
        elif role == "part":
            self.part(happens)
        elif deed.is_refusal() and happens:
            if role == "guard":
                self.refused_by_guard()
            else:
                self.refused()
        elif happens and deed.outcome == "response":
            self.changed()
        else:
            self.goes_on()
        self.the_next()
        self.log()
        return self.wrong

    def so_far(self):
        answer = self.answer
        return f"status {answer.status}, {len(answer.body)} bytes, {answer.end}"

    # Invariant 1.

    def refused(self):
        case, deed, answer = self.case, self.case.deed, self.answer
        may_be_cut = deed.place == "response-body" and self.expected.framing != "length" and not self.expected.header("content-length")
        grpc = case.request.kind == "grpc"
        if deed.outcome == "closed":
            if (answer.status or self.is_bare and answer.raw) and not (may_be_cut and self.is_cut()):
                self.add(1, "response", "none, the connection ends", self.shown())
        elif may_be_cut and self.is_cut():
            pass
        elif case.feature.converts:
            pass  # It makes something else of the answer.
        elif deed.outcome == "failed" and grpc and answer.status == 200:
            fields = dict(answer.headers + answer.trailers)
            if fields.get("grpc-status", "0") == "0":
                self.add(1, "gRPC answer", "an error", fields)
        elif deed.outcome == "answered" and grpc:
            fields = dict(answer.headers + answer.trailers)
            wanted = (200, GRPC_STATUS[deed.status], "no")
            self.check(1, "gRPC answer", wanted, (answer.status, fields.get("grpc-status"), fields.get("grpc-message")))
        else:
            page = case.feature.page
            if not self.is_bare:
                self.check(1, "status", deed.status, answer.status)
            self.check(1, "end", "complete", answer.end)
            if deed.outcome == "answered":
                body = page or b"no" + case.feature.tail
                self.check(1, "body", b"" if case.request.method == "HEAD" else body, decoded(answer))
                if not self.is_bare:
                    self.check(6, "header x-answered", [] if page else [deed.place], answer.header("x-answered"))
        self.nothing_of(bodies.ANY_MARKER, headers_may=may_be_cut)
        if deed.place == "request-headers" and answer.interim:
            self.add(1, "interim responses", [], answer.interim)
        asked = [one for one in self.outcome.seen if not re.search(r"/(allowed|forbidden|afterwards)\?", one["target"])]
        if case.feature.role == "target":
            asked = [one for one in asked if "/target" in one["target"]]
        if deed.place == "request-headers" or deed.place == "request-body" and case.feature.buffers:
            self.check(1, "upstream", [], [f"{one['method']} {one['target']}" for one in asked])
        self.kept(refused=True)

    def is_cut(self):
        """It stopped behind the headers, whether they have left or not."""
        answer = self.answer
        ends = ("closed", "reset", "cut off", *(("complete",) if answer.framing == "close" and not answer.body else ()))
        return answer.status in (0, self.expected.status) and answer.end in ends

    def nothing_of(self, marker, headers_may=False):
        answer = self.answer
        parts = {"body": answer.body, "decoded body": decoded(answer)}
        if not headers_may:
            parts["bytes"] = answer.raw
        for what, content in parts.items():
            found = marker.search(content)
            if found:
                at = max(found.start() - 40, 0)
                self.add(1, f"guarded content in the {what}", "none", content[at : at + 160])
                return

    def refused_by_guard(self):
        deed, answer = self.case.deed, self.answer
        self.nothing_of(bodies.ANY_MARKER)
        if self.is_bare:
            pass
        elif deed.outcome == "answered":
            self.check(1, "status", deed.status, answer.status)
        elif not (answer.status >= 400 or not answer.raw):
            self.add(1, "status", "an error, or the end of the connection", answer.status)
        asked = [one["target"] for one in self.outcome.seen if "/allowed?" not in one["target"]]
        self.check(1, "upstream", [], asked)

    def part(self, happens):
        """What surrounds the part is there, whatever becomes of the part."""
        deed, answer, expected = self.case.deed, self.answer, self.expected
        if deed.outcome == "response" and happens:
            pattern = re.compile(rb"(?:GuArDeD-Part[^\n]*\n)+")
            wanted = pattern.sub(lambda found: deed.change(found[0]), decoded(expected))
            self.check(6, "body", neutral(wanted, self.twin), neutral(decoded(answer), self.case))
            self.same(but=("body",))
        elif deed.is_refusal() and happens:
            self.nothing_of(re.compile(rb"guarded-part", re.I))
            if deed.outcome == "closed" and (answer.end != "complete" or answer.framing == "close"):
                return
            lines = re.findall(rb"GuArDeD-Main[^\n]*\n", decoded(expected))
            if self.case.request.method != "HEAD":
                self.check(2, "page around the part", lines, re.findall(rb"GuArDeD-Main[^\n]*\n", decoded(answer)))
            self.check(2, "status", expected.status, answer.status)
        else:
            self.goes_on()

    # Invariants 2 and 6.

    def shown(self):
        answer = self.answer
        return f"{answer.status} {answer.body[:200]!r} ({len(answer.body)} bytes), {answer.end}"

    def goes_on(self):
        self.same()
        self.asked()
        self.kept()

    def same(self, but=()):
        """Compares the response with the twin's."""
        answer, expected, case, twin = self.answer, self.expected, self.case, self.twin
        self.check(2, "status", expected.status, answer.status)
        self.check(2, "end", expected.end, answer.end)
        self.check(2, "interim responses", expected.interim, answer.interim)
        self.check(2, "framing", expected.framing, answer.framing)
        self.check(2, "trailers", expected.trailers, answer.trailers)
        if answer.framing in ("none", "stream") == expected.framing or case.request.method == "HEAD":
            self.check(2, "header content-length", expected.header("content-length"), answer.header("content-length"))
        wanted, got = headers(expected, twin), headers(answer, case)
        if case.deed.adds == "response" and self.happens("response-headers") and not (self.is_aside() or self.is_bare):
            self.check(6, "added header", 1, got.count(deeds.ADDED))
            got = [pair for pair in got if pair != deeds.ADDED]
        for name in dict.fromkeys(name for name, _ in wanted + got):
            values = [[value for key, value in pairs if key == name] for pairs in (wanted, got)]
            self.check(2, f"header {name}", *values)
        if case.deed.name == "append-response" and case.request.method != "HEAD" and not self.guarded():
            # It removes the length before anybody knows that there is no body; it may get to see one, then.
            but = ("body",)
        if "body" not in but:
            if expected.header("content-encoding") in CODINGS:
                # How it is compressed is up to how it came, and whether it is a header tells.
                self.check(2, "body", decoded(expected), decoded(answer))
            else:
                self.check(2, "body", neutral(expected.body, twin), neutral(answer.body, case))

    def changed(self):
        deed, case, expected = self.case.deed, self.case, self.expected
        shape = case.feature.shape or (lambda body, change: change(body))
        wanted = shape(decoded(expected), deed.change)
        self.check(6, "body", neutral(wanted, self.twin), neutral(decoded(self.answer), case))
        self.same(but=("body",))
        self.asked()
        self.kept()

    def asked(self):
        """Upstreams were asked as by the twin, but for what the filter changes."""
        case, deed = self.case, self.case.deed
        changes = deed.outcome == "request" and self.happens("request-body")
        before = case.request.body or b""
        after = deed.change(before) if changes else before
        sums = {hashlib.sha256(before).hexdigest(): (len(after), hashlib.sha256(after).hexdigest())}
        wanted, got = [], []
        for one in self.asked_by_twin:
            # The filter is behind the one that was asked first.
            early = case.feature.role == "target" and "/target" not in one["target"]
            size, sum = sums.get(one["sum"], (one["size"], one["sum"])) if before and not early else (one["size"], one["sum"])
            wanted.append((one["target"], self.fields(one, self.twin), size, sum, one["whole"]))
        added = 0
        if case.feature.role == "background":
            # What the filter does is for those that nobody waits for.
            wanted = [one for one in wanted if not self.is_unseen(one[0])]
        for one in self.outcome.seen:
            if case.feature.role == "background" and self.is_unseen(one["target"]):
                continue
            fields = self.fields(one, self.case)
            added = max(added, fields.count(deeds.ADDED))
            fields = [pair for pair in fields if pair != deeds.ADDED] if deed.adds == "request" else fields
            got.append((one["target"], fields, one["size"], one["sum"], one["whole"]))
        targets = [sorted(target.replace("&paced=1", "") for target, *_ in ones) for ones in (wanted, got)]
        self.check(2, "upstream is asked", *targets)
        if targets[0] == targets[1]:
            for one, other in zip(sorted(wanted, key=str), sorted(got, key=str)):
                self.check(2, f"upstream's headers of {one[0]}", one[1], other[1])
                self.check(6 if changes else 2, f"upstream's body of {one[0]}", one[2:], other[2:])
        has_headers = [one for one in self.outcome.seen if one["kind"] != "memcached"]
        if deed.adds == "request" and has_headers and case.feature.role == "main" and self.happens("request-headers"):
            self.check(6, "added request header", 1, added)

    @staticmethod
    def is_unseen(target):
        return "/mirrored" in target or "/afterwards" in target

    @staticmethod
    def fields(one, case):
        return [(name, neutral(value, case)) for name, value in map(tuple, one["headers"]) if name not in REQUEST_FRAMING]

    def kept(self, refused=False):
        """What a cache or a file has afterwards."""
        case, again, twin_again = self.case, self.outcome.again, self.twin_outcome.again
        if twin_again is None or again is None:
            return
        status, body = twin_again
        if case.feature.name == "dav":
            if refused and case.deed.place.startswith("request"):
                self.check(1, "what is stored", 404, again[0])
                return
            if refused:
                return
            sent = case.request.body
            body = case.deed.change(sent) if case.deed.outcome == "request" else sent
        self.check(2, "when asked again without the filter", (status, neutral(body, self.twin)), (again[0], neutral(again[1], case)))

    # Invariants 4 and 5.

    def the_next(self):
        answer = self.answer
        if answer.end not in ("complete", "reset") or answer.next == "right":
            return
        if answer.next == "closed" and answer.framing != "stream":
            return
        if self.case.feature.converts and answer.next.strip() in ("closed", "reset"):
            return  # nginx's image filter lets a request fail that it has answered.
        if answer.next == "not sent" and answer.end == "reset":
            return
        if any("no end" in fault for fault in answer.faults):
            return
        self.add(4, "next request", "right", answer.next)

    def log(self):
        for line in unexplained(self.case, self.outcome):
            self.add(5, "error log", "no such line", line)


def unexplained(case, outcome):
    """Lines of the error log that neither what the filter does nor the feature explains."""
    patterns = (*case.deed.lines, *case.feature.lines)
    return [line for _, line in outcome.lines if not any(re.search(pattern, line, re.I) for pattern in patterns)]
