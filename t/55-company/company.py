"""Filters in the company of nginx's other modules: what a filter does (deeds.py) in front of what nginx has (features.py), for all
kinds of requests (requests.py). Nothing is recorded: each case is compared with its twin, the same request without the filter, by
what must hold for any (invariants.py), but for what differs by design (differences.py). Prints TAP; company.t starts it:

    t/run t/55-company          or, for a part, t/55-company/run --only ID

Each run has one nginx with two workers, and all upstreams in another process; requests go out many at a time.
"""

import argparse
import asyncio
import fnmatch
import os
import re
import subprocess
import sys
import time
import zlib

import deeds
import differences
import features
import invariants
import requests
import servers
import space

ROOT = os.environ["TEST_WASM_ROOT"]
FOLDER = os.path.join(ROOT, "build/t/company")
REPORT = os.path.join(ROOT, "build/t/company-report")
# Requests under way at a time.
TOGETHER = 24
# Of a failure all is shown, for so many; the report has all of them.
SHOWN = 25
DEFAULT_SEED = 11
# So many cases share an nginx.
BATCH = 6000


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--seed", type=int, default=int(os.environ.get("COMPANY_SEED", DEFAULT_SEED)))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--triples", action="store_true")
    parser.add_argument("--features", default="*")
    parser.add_argument("--deeds", default="*")
    parser.add_argument("--without", action="append", default=[])
    return parser.parse_args()


def h2_folder():
    found = subprocess.run([os.path.join(ROOT, "tools/install.sh"), "h2"], stdout=subprocess.PIPE, text=True)
    if found.returncode:
        print("1..0 # SKIP tools/install.sh h2 failed (its output says why)")
        sys.exit(0)
    return found.stdout.strip()


def modules():
    """What nginx loads: the tests' modules, and, before ours, others of the same folder that features need."""
    loaded = os.environ["TEST_NGINX_LOAD_MODULES"].split()
    there = {os.path.basename(path).removesuffix(".so") for path in loaded}
    folders = {os.path.dirname(path) for path in loaded if "lua" in os.path.basename(path)}
    needed = dict.fromkeys(name for feature in features.FEATURES for name in feature.needs)
    more = []
    for name in needed:
        for folder in folders:
            path = os.path.join(folder, f"{name}.so")
            if name not in there and os.path.exists(path):
                more.append(path)
                there.add(name)
    return [*more, *loaded], there


class Tap:
    def __init__(self):
        self.number = self.failed = 0
        self.report = open(REPORT, "w")

    def check(self, is_fine, name, lines=()):
        self.number += 1
        print(f"{'ok' if is_fine else 'not ok'} {self.number} - {name}", flush=True)
        if is_fine:
            return
        self.failed += 1
        text = "\n".join([f"# not ok: {name}", *(f"#   {line}" for line in lines)])
        print(text, file=self.report, flush=True)
        if self.failed <= SHOWN:
            # To where the harness shows it.
            print(text, file=sys.stderr, flush=True)
        else:
            print(f"# not ok: {name}", file=sys.stderr, flush=True)


class Batch:
    """Cases that share an nginx."""

    def __init__(self, cases, h2, modules, tap, table, keeps):
        self.cases, self.tap, self.table, self.keeps = cases, tap, table, keeps
        self.twins = {}
        self.all = []
        for case in cases:
            self.number(case)
            for request in {case.request.name, case.request.whole or case.request.name}:
                self.twin_of(case, request)
        self.upstreams = servers.Upstreams(h2)
        guest = os.path.join(ROOT, "build/guests/rust-bodies.wasm")
        log_level = "info" if keeps else "notice"
        self.nginx = servers.Nginx(
            FOLDER, os.environ["TEST_NGINX_BINARY"], modules, self.upstreams.ports, guest, self.all, log_level
        )
        self.outcomes = {}
        self.locks = {}
        # Cases that have not ended in time since one has.
        self.late = []

    def number(self, case):
        case.number = space.FIRST_NUMBER + len(self.all)
        case.bound = max(case.bound, servers.patience() // 2)
        self.all.append(case)

    def twin_of(self, case, request):
        key = (case.feature.name, request, case.protocol, case.content)
        if key not in self.twins:
            twin = self.twins[key] = space.twin(case, requests.BY_NAME[request])
            self.number(twin)
        return self.twins[key]

    def run(self):
        failure = None
        try:
            self.nginx.start()
            before = self.nginx.workers()
            began = time.monotonic()
            goes_on = asyncio.run(self.exchanges())
            seconds = time.monotonic() - began
            self.tap.check(
                self.nginx.workers() == before, "the workers are those of the start", [f"{before}, then {self.nginx.workers()}"]
            )
            print(f"# {len(self.all)} requests with what belongs to them took {seconds:.0f} s", flush=True)
            if goes_on:
                goes_on = self.nginx.reload() and asyncio.run(self.ask())
                stacks = [] if goes_on else self.nginx.stacks(before).splitlines()
                self.tap.check(goes_on, "a reload works, and old workers end", stacks)
            if self.keeps:
                self.keep()
            if goes_on:
                self.tap.check(self.nginx.quit(), "nginx quits")
            else:
                self.nginx.stop()
            seen = self.upstreams.seen()
        except servers.Failure as error:
            failure = str(error)
        finally:
            self.nginx.stop()
            self.upstreams.stop()
        if failure:
            print("Bail out!", failure.replace("\n", "\n# "), flush=True)
            print(failure, file=sys.stderr)
            sys.exit(1)
        self.judge(seen)

    def twins_are_there(self, case):
        names = {case.request.name, case.request.whole or case.request.name}
        return all(self.twin_of(case, name) in self.all for name in names)

    async def exchanges(self):
        self.control = Control(self.upstreams.ports["control"])
        limit = asyncio.Semaphore(TOGETHER)

        async def one(case):
            async with limit:
                if len(self.late) >= TOGETHER:
                    return
                lock = self.lock(case)
                if lock:
                    async with lock:
                        await self.exchange(case)
                else:
                    await self.exchange(case)

        # Those that have to go one after the other are spread by the order of the list already.
        await asyncio.gather(*(one(case) for case in self.all))
        await self.control.close()
        if len(self.late) >= TOGETHER:
            lines = ["it does not, since these cases:", *(case.id for case in self.late), *self.nginx.stacks().splitlines()]
            self.tap.check(False, "nginx goes on answering", lines)
            return False
        return True

    def lock(self, case):
        """A filter that fails takes down the requests that share its instance."""
        if not case.deed.spoils or case.setting == "own":
            return None
        return self.locks.setdefault(case.host, asyncio.Lock())

    async def exchange(self, case):
        import clients

        feature = case.feature
        twin_host = f"none-{feature.name}" if feature.server else "none"
        for _ in range(feature.prime):
            await self.get(case, case.host if feature.prime_same else twin_host)
        release = self.control.releaser(case) if case.request.kind == "events" else None
        exchange = clients.exchange(case, self.nginx.ports, release)
        answer, other = await self.in_company(case, exchange, twin_host) if feature.company else (await exchange, None)
        if any("no end within" in fault for fault in answer.faults):
            self.late.append(case)
        elif answer.next == "right" and len(self.late) < TOGETHER:
            self.late.clear()
        again = None
        if feature.again:
            found = await self.get(case, twin_host)
            again = (found.status, found.body)
        if other:
            again = (other.status, other.body) if again in (None, (other.status, other.body)) else ("not the same twice", b"")
        self.outcomes[case.number] = invariants.Outcome(answer, [], [], again)

    async def in_company(self, case, exchange, host):
        """An exchange while somebody else asks for the same on another server: the two answers."""
        other = self.get(case, host)
        first, second = (other, exchange) if case.feature.company == "ahead" else (exchange, other)
        first = asyncio.create_task(first)
        asked = asyncio.create_task(self.control.wait(case, "asked"))
        await asyncio.wait((first, asked), return_when=asyncio.FIRST_COMPLETED)
        second = asyncio.create_task(second)
        of_case = second if case.feature.company == "ahead" else first
        await of_case
        # Whoever has not arrived by now does not.
        for what in ("arrived False", "arrived True"):
            await self.control.set(case, what)
        found = [await first, await second]
        asked.cancel()
        return found[::-1] if case.feature.company == "ahead" else found

    async def get(self, case, host):
        """The case's target by GET over HTTP/1.1, of some server."""
        import clients

        plain = Aside(case, host)
        return await clients.exchange(plain, self.nginx.ports, None)

    async def ask(self):
        """Whether a server without filters answers."""
        twin = space.Case(features.BY_NAME["return"], deeds.NONE, requests.BY_NAME["get"], "h1", "small", "alone")
        answer = await self.get(twin, "none")
        return answer.next == "right"

    def keep(self):
        plain = self.nginx.ports["plain"]
        print(f"# nginx has its files in {FOLDER}; its servers are at 127.0.0.1:{plain} (TLS and HTTP/2: "
              f"{self.nginx.ports['tls']}, HTTP/2 without TLS: {self.nginx.ports['h2c']}):", file=sys.stderr)
        for case in self.all[:20]:
            print(f"#   curl -i -H 'Host: {case.host}' 'http://127.0.0.1:{plain}{case.target}'    # {case.id}", file=sys.stderr)
        print("# Ctrl-C ends them.", file=sys.stderr, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass

    def judge(self, seen):
        lines = {}
        for number, level, line in self.nginx.lines():
            lines.setdefault(number, []).append((level, line))
        for number, outcome in self.outcomes.items():
            outcome.seen = seen.get(str(number), [])
            outcome.lines = lines.get(number, [])
        numbers = self.nginx.ended()[0]
        if len(self.late) >= TOGETHER:
            # What has not been asked says nothing.
            self.all = [case for case in self.all if case.number in self.outcomes and case not in self.late]
            self.cases = [case for case in self.cases if case in self.all and self.twins_are_there(case)]
        endless = [case.id for case in self.all if case.number not in numbers]
        for case in self.cases:
            twin = self.twin_of(case, case.request.name)
            outcome, expected = self.outcomes[case.number], self.outcomes[twin.number]
            if expected.answer.faults or expected.answer.end != "complete":
                how = f"{expected.answer.end}, {expected.answer.faults}"
                self.tap.check(False, case.id, [f"nginx without a filter does not answer rightly: {how}"])
                continue
            asked = expected.seen
            if case.request.whole and expected.answer.status in (206, 416) and outcome.answer.status == 200 and self.table.whole(case):
                twin = self.twin_of(case, case.request.whole)
                expected = self.outcomes[twin.number]
                asked = expected.seen if case.feature.slices else asked
            judge = invariants.Judge(case, outcome, twin, expected, asked)
            wrong = [one for one in judge.judge() if not self.table.excuses(case, one, judge)]
            self.tap.check(not wrong, case.id, self.explanation(case, twin, judge, wrong))
        known = {case.number for case in self.all}
        others = [line for number, found in lines.items() if number not in known for _, line in found]
        # A connection of a request that never ends is still there when nginx quits.
        left = [line for line in others if re.search(r"\[alert\].*(open socket #\d+ left in connection|aborting)", line)]
        self.tap.check(not endless and not left, "each request has come to its end when nginx quits", endless + left)
        others = [line for line in others if line not in left]
        self.tap.check(not others, "the error log has no line that no case explains", others[:20])
        for twin in self.twins.values():
            if twin.number not in self.outcomes:
                continue
            unexplained = invariants.unexplained(twin, self.outcomes[twin.number])
            if unexplained:
                self.tap.check(False, f"{twin.id}: error log", unexplained)

    def explanation(self, case, twin, judge, wrong):
        if not wrong:
            return []
        lines = []
        for one in wrong:
            lines.append(f"invariant {one.invariant}: {one.aspect}: wanted {short(one.wanted)}, got {short(one.got)}{where(one)}")
        request = case.request
        lines += [
            f"answer: {judge.shown()}",
            f"without the filter: {judge.expected.status} ({len(judge.expected.body)} bytes), {judge.expected.end}",
            f"request: {request.method} {case.target} HTTP/{request.version} over {case.protocol}, Host: {case.host}, "
            + ", ".join(f"{name}: {value}" for name, value in request.headers[len(requests.COMMON) :])
            + (f" with {len(request.body)} bytes" if request.body is not None else ""),
            *(f"| {line}" for line in self.nginx.fragment(case).splitlines() if line.strip()),
            *(f"log: {line}" for _, line in judge.outcome.lines[:6]),
            f"alone: t/55-company/run --keep --only '{case.id}'",
        ]
        return lines


class Aside:
    """A request before or after that of a case, for the same: what upstreams were asked does not have it."""

    request = requests.BY_NAME["get"]
    protocol, address = "h1", ""

    def __init__(self, case, host):
        self.host, self.number, self.bound = host, case.number, case.bound
        self.target = f"{case.target}&aside"


class Control:
    """Tells upstreams what has been seen, and asks them."""

    def __init__(self, port):
        self.port, self.tasks = port, set()

    def releaser(self, case):
        told = 0

        def release(count):
            nonlocal told
            for number in range(told + 1, count + 1):
                task = asyncio.create_task(self.set(case, f"event {number}"))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
            told = max(told, count)

        return release

    async def set(self, case, what):
        await self.tell(f"set {case.number} {what}\n")

    async def wait(self, case, what):
        """Until upstreams have seen that."""
        await self.tell(f"wait {case.number} {what}\n")

    async def tell(self, line):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(line.encode())
            await reader.readline()
        finally:
            writer.close()

    async def close(self):
        if self.tasks:
            await asyncio.wait(self.tasks)


def where(wrong):
    """Where long bodies begin to differ."""
    wanted, got = wrong.wanted, wrong.got
    if not (isinstance(wanted, bytes) and isinstance(got, bytes)) or max(len(wanted), len(got)) < 400:
        return ""
    at = next((n for n, (one, other) in enumerate(zip(wanted, got)) if one != other), min(len(wanted), len(got)))
    return f"; {len(wanted)} and {len(got)} bytes, from byte {at} on: {wanted[at : at + 60]!r} and {got[at : at + 60]!r}"


def short(value):
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:250]}... ({len(text)} characters, sum {zlib.crc32(text.encode()):08x}) ...{text[-100:]}"


def main():
    options = arguments()
    h2 = h2_folder()
    sys.path.insert(0, h2)
    loaded, there = modules()
    available = [
        feature
        for feature in features.FEATURES
        if set(feature.needs) <= there
        and fnmatch.fnmatchcase(feature.name, options.features)
        and not any(fnmatch.fnmatchcase(feature.name, pattern) for pattern in options.without)
    ]
    missing = sorted({name for feature in features.FEATURES for name in feature.needs} - there)
    deeds.DEEDS[:] = [deed for deed in deeds.DEEDS if fnmatch.fnmatchcase(deed.name, options.deeds)]
    tap, table = Tap(), differences.Table()
    whole = not options.only and not options.without and options.features == options.deeds == "*"
    total = 0
    for number in range(options.rounds):
        seed = options.seed + number
        found = space.Space(available, seed)
        if options.only:
            cases = found.matching(options.only)
        else:
            cases = found.triples() if options.triples else found.pairs()
        print(f"# seed {seed}: {len(cases)} cases of {len(available)} features"
              + (f"; not there: {', '.join(missing)}" if missing else ""), flush=True)
        if not cases:
            sys.exit("no such case")
        for at in range(0, len(cases), BATCH):
            Batch(cases[at : at + BATCH], h2, loaded, tap, table, options.keep).run()
        total += len(cases)
    if whole:
        for entry in table.unused():
            tap.check(False, f"still differs: {entry.cases}: {entry.aspects}: {entry.why}")
    print(f"1..{tap.number}", flush=True)
    print(f"# seed {options.seed}: {total} cases, {tap.failed} failures; all of them in {REPORT}", file=sys.stderr)
    sys.exit(1 if tap.failed else 0)


if __name__ == "__main__":
    main()
