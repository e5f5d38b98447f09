"""Files that modules of nginx want to be of their kind: MP4, PNG, XML. What they show has the markers of bodies.py."""

import struct
import zlib

import bodies


def box(kind, *parts):
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind, *parts):
    """A box with version and flags, both 0."""
    return box(kind, bytes(4), *parts)


def numbers(*values):
    return struct.pack(f">{len(values)}I", *values)


def mp4(content):
    """One track whose ten samples, each in a chunk of its own and 100 ms long, are the text of that name."""
    text = bodies.text(content)
    each = len(text) // 10 + 1
    samples = [text[at : at + each] for at in range(0, len(text), each)]
    count = len(samples)
    matrix = numbers(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    start = box(b"ftyp", b"isom", numbers(0), b"isom")

    def moov(first):
        places = [first + each * number for number in range(count)]
        table = box(
            b"stbl",
            full(b"stsd", numbers(1), box(b"text", bytes(6), struct.pack(">H", 1))),
            full(b"stts", numbers(1, count, 100)),
            full(b"stsc", numbers(1, 1, 1, 1)),
            full(b"stsz", numbers(0, count, *map(len, samples))),
            full(b"stco", numbers(count, *places)),
        )
        media = box(
            b"mdia",
            full(b"mdhd", numbers(0, 0, 1000, 100 * count), bytes(4)),
            full(b"hdlr", numbers(0), b"text", bytes(12), b"company\0"),
            box(b"minf", full(b"nmhd"), box(b"dinf", full(b"dref", numbers(0))), table),
        )
        header = full(b"tkhd", numbers(0, 0, 1, 0, 100 * count), bytes(16), matrix, bytes(8))
        of_movie = full(b"mvhd", numbers(0, 0, 1000, 100 * count, 0x10000), bytes(12), matrix, bytes(24), numbers(2))
        return box(b"moov", of_movie, box(b"trak", header, media))

    # Its size does not depend on where the samples are.
    first = len(start) + len(moov(0)) + 8
    return start + moov(first) + box(b"mdat", *samples)


def png(content):
    """One grey pixel, and the text of that name as a comment."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
        + chunk(b"tEXt", b"Comment\0" + bodies.text(content))
        + chunk(b"IDAT", zlib.compress(b"\0\x80"))
        + chunk(b"IEND", b"")
    )


def xml(content):
    return b"<page>" + bodies.text(content) + b"</page>"


# The text of a document, whatever its elements are.
STYLESHEET = b"""<?xml version="1.0"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:output method="text" encoding="utf-8"/>
<xsl:template match="/"><xsl:value-of select="."/></xsl:template>
</xsl:stylesheet>
"""
# Folder, name, and what is in it; small and large.
KINDS = {"mp4": mp4, "image": png, "xml": xml}
