"""What is known of processes and of the machine: processor time, memory, ports, and which processors who gets. For all
benchmarks."""

import ctypes
import os
import platform
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../t/lib"))

from free_ports import free_ports  # noqa: E402, F401


def cpu_ns(pid):
    """Nanoseconds that all threads of a process have been on a processor: user and system time."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
                total += int(stat.read().split()[0])
        except FileNotFoundError:
            pass  # the thread has ended
    return total


def memory_kib(pid):
    """Resident memory of a process, and the part of it that it shares with nobody."""
    sizes = {}
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            words = line.split()
            if words[0].endswith(":") and words[-1] == "kB":
                sizes[words[0][:-1]] = int(words[1])
    return sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


# The server that is measured has a processor of its own; clients and upstreams share the others.
PROCESSORS = sorted(os.sched_getaffinity(0))
FOR_SERVERS = set(PROCESSORS[:1])
FOR_OTHERS = set(PROCESSORS[1:] or PROCESSORS)


def pin(pid, processors):
    """Keeps all threads of a process on these processors."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), processors)


def wake_up_precisely():
    """Lets this process sleep for microseconds: timers of the kernel are late by 50 otherwise."""
    pr_set_timerslack = 29
    ctypes.CDLL(None).prctl(pr_set_timerslack, 1000, 0, 0, 0)


def machine():
    """What the figures depend on: processor, memory, kernel, C library."""
    model = flags = ""
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                flags = line.split(":", 1)[1].split()
    with open("/proc/meminfo") as meminfo:
        total = next(int(line.split()[1]) for line in meminfo if line.startswith("MemTotal"))
    return {
        "processor": model or platform.machine(),
        "processors": len(PROCESSORS),
        "virtual": "hypervisor" in flags,
        "memory_gib": round(total / 1024 / 1024, 1),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
    }


def load_average():
    return os.getloadavg()[0]


def output_of(*command):
    """The first line that a command prints; empty when it cannot run."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except OSError:
        return ""
    return (result.stdout or result.stderr).strip().split("\n")[0]
