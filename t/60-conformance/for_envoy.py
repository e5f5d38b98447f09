"""Guests as Envoy takes them. For servers.py, and the benchmarks."""

import os

HIGRESS_MARKER = b"proxy_abi_version_0_2_100"
MARKER = b"proxy_abi_version_0_2_1"


def for_envoy(guest, folder):
    """The path of the guest, or of a copy with the only marker under which Envoy runs it: it does not know Higress's."""
    with open(guest, "rb") as module:
        content = module.read()
    sections = list(sections_of(content))
    if not any(number == 7 and HIGRESS_MARKER in body for number, body in sections):
        return guest
    path = os.path.join(folder, os.path.basename(guest))
    with open(path, "wb") as copy:
        copy.write(content[:8])
        for number, body in sections:
            if number == 7:  # exports
                old, new = (bytes([len(marker)]) + marker for marker in (HIGRESS_MARKER, MARKER))
                body = body.replace(old, new)
            copy.write(bytes([number]) + leb128(len(body)) + body)
    return path


def sections_of(module):
    """Number and content of the sections of a WebAssembly module."""
    at = 8
    while at < len(module):
        number, size, shift = module[at], 0, 0
        at += 1
        while True:
            byte = module[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield number, module[at : at + size]
        at += size


def leb128(number):
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])
