"""Instructions of an nginx in user space, counted by valgrind's callgrind: in one process, request after request over one
connection, so that each run does the same work. For bench/run profile and all, and for the guard of t/90-build."""

import glob
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from fleet import check, make
from load import connect, is_whole, message
from processes import PROCESSORS

# The counted requests come in so many parts, of which the least is taken: what happens now and then is in the others.
PARTS = 5


def need(*tools):
    for tool, package in tools:
        if not shutil.which(tool):
            sys.exit(f"there is no {tool}; as root: apt-get install --no-install-recommends {package}")


class Counted:
    """An nginx under callgrind. Nothing is counted before `begin`: compiling guests would take minutes. Use it with `with`."""

    def __init__(self, case, upstream_port, form=""):
        need(("valgrind", "valgrind"))
        self.case = case
        # Without kept code: valgrind 3.19 lets the stack grow while guests are compiled, and not any more when a signal comes
        # after the memory of an instance is there.
        self.nginx = make(case, upstream_port, None, f"callgrind-{case.name}-{form}")
        self.profile = os.path.join(self.nginx.prefix, "profile")
        self.connection = None

    def __enter__(self):
        wrapper = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", "--dump-instr=no", "--collect-jumps=no",
            # The thread that is the clock of deadlines has its steps by time, and not by requests.
            "--separate-threads=yes",
            "--smc-check=all-non-file", "--log-file=" + os.path.join(self.nginx.prefix, "valgrind.log"),
            "--callgrind-out-file=" + self.profile,
        ]
        try:
            self.nginx.start(wrapper, single_process=True, patience=600)
            check(self.nginx, self.case)
            self.connection = connect(self.nginx.port)
        except BaseException:
            self.nginx.kill()
            raise
        return self

    def __exit__(self, *_):
        if self.connection:
            self.connection.close()
        self.nginx.kill()

    def begin(self, form, warm_up):
        self.control("--instr=on")
        self.send(form, warm_up)
        self.control("--zero")

    def dump(self):
        """The file with what the first thread has done since the last one."""
        self.control("--dump")
        found = [re.match(r".*\.(\d+)-01$", path) for path in glob.glob(self.profile + ".*")]
        dumps = [(int(one[1]), one[0]) for one in found if one]
        if not dumps:
            sys.exit(f"callgrind left no profile in {self.nginx.prefix}")
        return max(dumps)[1]

    def control(self, *arguments):
        result = subprocess.run(["callgrind_control", *arguments, str(self.nginx.pid)], capture_output=True, text=True)
        if result.returncode != 0 or "Error" in result.stdout + result.stderr:
            sys.exit(f"callgrind_control {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")

    def send(self, form, count):
        data = message(self.case.work.request, f"/{form}")
        for _ in range(count):
            # Not before nginx waits for it: whether a request is there already makes a difference of some instructions.
            self.wait_for_sleep()
            self.connection.sendall(data)
            answer = b""
            while not is_whole(answer):
                piece = self.connection.recv(65536)
                if not piece:
                    sys.exit(f"{self.case.name}: the connection was closed after {answer!r}")
                answer += piece

    def wait_for_sleep(self, patience=60):
        end = time.monotonic() + patience
        with open(f"/proc/{self.nginx.pid}/stat") as stat:
            while time.monotonic() < end:
                stat.seek(0)
                if stat.read().rsplit(")", 1)[1].split()[0] == "S":
                    return
        sys.exit(f"{self.case.name}: nginx does not wait for requests")


# Inside of the C library's allocator: how long it looks for room depends on what lies where, and so on the length of paths in
# the configuration. Each call into it is taken for as many instructions as it takes as a rule.
ALLOCATOR = re.compile(r"_int_(malloc|free|memalign|realloc)|unlink_chunk|malloc_consolidate|alloc_perturb|sysmalloc|systrim")
INSTRUCTIONS_OF_A_CALL = 100


class Unseen(Exception):
    """Functions have no names: nothing can be said about them."""


def total_of(profile):
    """The sum of a file that callgrind has written, without what has nothing to do with requests: how long the allocator
    looks (see above), and what nginx does once in a second, when ngx_time_update writes the date into some strings."""
    names, function, callee, total, left_out = {}, "", "", None, 0
    with open(profile, errors="replace") as lines:
        for line in lines:
            if line[0] in "+-*0123456789":
                if ALLOCATOR.match(function):
                    left_out += int(line.split()[1])
            elif found := re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line):
                name = names.setdefault(found[2], found[3] or "")
                if found[1] == "fn":
                    function = name
                else:
                    callee = name
            elif line.startswith("calls="):
                cost = int(next(lines).split()[1])
                if function == "ngx_time_update" and "gettime" not in callee:
                    left_out += cost
                elif ALLOCATOR.match(callee) and not ALLOCATOR.match(function):
                    left_out -= int(line[6:].split()[0]) * INSTRUCTIONS_OF_A_CALL
            elif line.startswith("summary:"):
                total = int(line.split()[1])
    if total is None:
        sys.exit(f"there is no sum in {profile}")
    if not any(ALLOCATOR.match(name) for name in names.values()):
        raise Unseen("valgrind does not see the functions of the C library; on Debian: apt-get install libc6-dbg")
    return total - left_out


def count(case, form, upstream_port, requests, warm_up=200):
    """Instructions for a request."""
    each = max(1, requests // PARTS)
    with Counted(case, upstream_port, form) as counted:
        counted.begin(form, warm_up)
        parts = []
        for _ in range(PARTS):
            counted.send(form, each)
            parts.append(total_of(counted.dump()) / each)
    return min(parts)


def count_each(pairs, upstream_port, requests, warm_up=200):
    """The same for pairs of case and form, as many at once as there are processors: ((case, form), figure), in their order."""

    def one(pair):
        print(f"instructions: {pair[0].name}, {pair[1]}", file=sys.stderr)
        return pair, count(*pair, upstream_port, requests, warm_up)

    with ThreadPoolExecutor(len(PROCESSORS)) as pool:
        return list(pool.map(one, pairs))
