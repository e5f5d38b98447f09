#!/usr/bin/env python3
"""Runs a program as a hardened system does: hardened.py mdwe|files|sealed|nothing COMMAND...

mdwe     memory that was writable cannot become executable (PR_SET_MDWE, which MemoryDenyWriteExecute= of systemd sets)
files    there are no files in memory (a seccomp filter over memfd_create)
sealed   both
nothing  nothing is forbidden

Ends with 77 where the kernel, or the processor, does not know one of them.
"""
import ctypes
import os
import platform
import struct
import sys

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 22, 38, 65
MEMFD_CREATE = {"x86_64": (0xC000003E, 319), "aarch64": (0xC00000B7, 279)}
UNKNOWN = 77


def prctl(*arguments):
    if ctypes.CDLL(None, use_errno=True).prctl(*[ctypes.c_ulong(a) for a in (*arguments, *[0] * (5 - len(arguments)))]) != 0:
        print(f"prctl {arguments[0]}: {os.strerror(ctypes.get_errno())}", file=sys.stderr)
        sys.exit(UNKNOWN)


def without_memfd():
    """A filter that refuses the call with EPERM."""
    if platform.machine() not in MEMFD_CREATE:
        sys.exit(UNKNOWN)
    arch, number = MEMFD_CREATE[platform.machine()]
    load, jump_if_equal, answer = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050001
    steps = [
        (load, 0, 0, 4), (jump_if_equal, 0, 2, arch),
        (load, 0, 0, 0), (jump_if_equal, 1, 0, number),
        (answer, 0, 0, allow), (answer, 0, 0, refuse),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program))


def main():
    what, command = sys.argv[1], sys.argv[2:]
    if what in ("files", "sealed"):
        without_memfd()
    if what in ("mdwe", "sealed"):
        prctl(PR_SET_MDWE, 1)
    os.execvp(command[0], command)


main()
