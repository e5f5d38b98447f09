"""nginx's features, each as a fragment of a server block. `@N@` is the feature's name, @HTTP@ and the like are addresses of
upstreams, @WWW@ is the folder of files. The fragment stands in servers whose filters differ, so its locations inherit the filter;
`proxy_wasm off` keeps it away from one.

`role` says what the filter is in front of:

    main        the response, and all that the feature does for it
    guard       a subrequest that decides whether the main request goes on
    part        a subrequest whose response becomes a part of the main one
    background  a subrequest of which the client sees nothing
    target      the location to which an internal redirect leads, not the one where it begins
    left        the location where the redirect begins, not the one to which it leads
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field

import bodies

# What fits where there is an upstream, and where there are files.
UPSTREAM = ("small", "large", "chunked", "long-chunked", "empty", "missing")
FILES = bodies.OF_FILES
BODILESS = ("get", "head", "range", "range-late", "ranges", "since", "get-gzip", "get-1.0", "keep-1.0", "nameless-1.0", "get-0.9")


@dataclass
class Feature:
    name: str
    conf: str
    role: str = "main"
    contents: tuple = UPSTREAM
    # Names of requests; None: all of kind "plain".
    requests: tuple = None
    kind: str = "plain"
    # Bytes of another protocol follow the headers, past all filters.
    tunnel: bool = False
    # nginx refuses before it looks at the request's body.
    refuses: bool = False
    # It answers in the rewrite phase.
    is_early: bool = False
    # The request's body is there before the upstream is asked.
    buffers: bool = True
    # Once, in http {}.
    http: str = ""
    # In a server block of its own beside the filter.
    server: str = ""
    # Targets that are asked for before the case: on the server without filters, or on the same one.
    prime: int = 0
    prime_same: bool = False
    # The same key is asked for at the same time on the server without filters: "ahead", before this one, or "behind" it. Whoever is
    # ahead is answered when the other one has come as far as it can.
    company: str = ""
    # Ranges are made of what several requests to the upstream bring.
    slices: bool = False
    # Ask again afterwards without filters: what the feature has kept must be right.
    again: bool = False
    # The path, if it is not the content's name; more arguments.
    path: str = "{content}"
    arguments: str = ""
    # The body as the client gets it, made of what the filter makes of the body before this feature changes it:
    # takes the twin's body and the change. None: the change applies to the whole of it.
    shape: object = None
    # Deeds that say nothing here, with the reason.
    without: dict = field(default_factory=dict)
    # The same for settings.
    settings_without: dict = field(default_factory=dict)
    # Requests, by name with * for any, that nginx and its other modules do not serve rightly here by themselves.
    without_requests: tuple = ()
    # The filter is one that Lua runs, in the place of `@LUA@`, and does only this.
    deeds: tuple = None
    # Modules that it needs (file names without .so).
    needs: tuple = ()
    # Lines of the error log that it explains.
    lines: tuple = ()
    # What it puts behind any body, a filter's own answer too.
    tail: bytes = b""
    # What the client sees in the place of a filter's own answer.
    page: bytes = b""
    # It answers otherwise when what comes is not of the kind that it knows: a filter's own answer, too.
    converts: bool = False
    # It wants headers of requests that HTTP/0.9 does not have.
    needs_headers: bool = False
    # None: all.
    protocols: tuple = None


def before(mark):
    """What the feature has added begins with this: filters do not see it."""

    def shape(body, change):
        at = body.find(mark)
        return change(body) if at < 0 else change(body[:at]) + body[at:]

    return shape


def between(first, last):
    def shape(body, change):
        start, end = body.find(first), body.find(last)
        if start < 0 or end < 0:
            return change(body)
        start += len(first)
        return body[:start] + change(body[start:end]) + body[end:]

    return shape


def around(pattern):
    """A part that filters do not see, in the middle."""

    def shape(body, change):
        found = re.search(pattern, body, re.S)
        if not found:
            return change(body)
        mark = b"\0the part\0"
        return change(body[: found.start()] + mark + body[found.end() :]).replace(mark.upper(), mark).replace(mark, found[0])

    return shape


# The Lua module does not read bodies and make subrequests over HTTP/2.
LUA_PROTOCOLS = ("h1", "pipelined", "packet", "tls")
# What filters that Lua runs do as those of nginx.conf do: nothing about a response whose headers have gone, and no trap, which all
# requests with filters of that module notice.
LUA_DEEDS = (
    "goes-on", "adds-response-header", "adds-request-header", "upper-request", "append-request", "held-both-request",
    "holds-request-until-end", "upper-response", "append-response", "held-both-response", "holds-response-until-end",
    "denies-request-headers", "denies-later-request-headers", "resumes-request-headers", "denies-request-body",
    "denies-later-request-body", "resumes-request-body", "denies-request-end", "denies-response-headers",
)
PROXY = "location /@N@/ { %s proxy_pass http://@HTTP@; }"
CACHE = """
        proxy_cache company;
        proxy_cache_key "@N@ $case $arg_content $slice_range";
        proxy_cache_valid 200 404 1h;
        proxy_cache_methods GET HEAD POST;
        proxy_ignore_headers Set-Cookie;
"""
GUARD_OF_UPSTREAM = """
    location = /@N@.guard {
        internal; %s
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_pass http://@HTTP@/allowed?case=$case;
    }"""
# Behind the end of the response. The body is not there any more.
AFTERWARDS = """
    location = /@N@.after {
        internal; %s
        proxy_pass_request_body off; proxy_set_header Content-Length "";
        proxy_pass http://@HTTP@/afterwards?case=$case;
    }"""
# Asked by two at once.
GATHERING = """
    location /@N@/ {
        mirror /@N@.mirror; mirror_request_body off;
        %s proxy_cache_lock on; proxy_cache_lock_timeout 1m; proxy_cache_lock_age 1m;
        proxy_pass http://@HTTP@/gathered?$args;
    }
    location = /@N@.mirror { internal; proxy_wasm off; %s }"""
ARRIVED = """
        proxy_pass_request_body off; proxy_set_header Content-Length "";
        proxy_pass http://@HTTP@/arrived?$args;"""
SECURE_LINK = base64.urlsafe_b64encode(hashlib.md5(b"company").digest()).decode().rstrip("=")
SECURE = 'secure_link $arg_sum; secure_link_md5 company; if ($secure_link = "") { return 403; }'
THE_PAGE = b"the page of errors\n"
INTERCEPTS = "proxy_wasm_intercept_errors on; error_page 403 500 502 503 504 "
SHOWS_PAGE = "return 200 'the page of errors\\n';"
SPOILS_FORM = {
    name: "it spoils the form of the content"
    for name in ("upper-response", "append-response", "held-both-response")
}
SSI_SPOILT = "SSI commands are in the body when filters see it"
SSI_WITHOUT = {name: SSI_SPOILT for name in ("upper-response", "held-both-response")}
ZIPPED_WITHOUT = {
    name: "the body is compressed when filters see it"
    for name in ("upper-response", "append-response", "held-both-response")
}
