"""The cases: what is sent through which filters, over which protocol. A file for each subject.

Most cases give a script to the guest `conformance`, in a request header for each filter of the chain: x-a for the
first, x-b and x-c for the others. t/guests/README.md has the statements.
"""

import os
from dataclasses import dataclass, field

from clients import Request
from servers import Listener

ROOT = os.environ["TEST_WASM_ROOT"]
BOTH = ("h1", "h2")
# Ticks wake contexts that wait for one; all else is up to the request.
CONFIGURATION = "name {}; @configure raw set_tick_period_milliseconds 10"


def guest(name):
    return os.path.join(ROOT, "build/guests", name + ".wasm")


@dataclass
class Case:
    name: str
    listener: str
    protocol: str
    request: object
    # What must come of it, so that the case is known to do what it says.
    expect: dict = field(default_factory=dict)
    # Callbacks of filter a that the next piece of a body waits for (and trailers over HTTP/2): of the client's, of the
    # upstream's.
    paced: tuple = (None, None)
    # The filter refuses the request while the upstream may get it: what of it arrives is up to chance.
    races: bool = False
    # The client has a certificate.
    certified: bool = False


def chain(names, **options):
    filters = [(guest("rust-conformance"), CONFIGURATION.format(name)) for name in names]
    return Listener(filters, protocols=BOTH, **options)


LISTENERS = {
    "one": chain("a"),
    "two": chain("ab"),
    "three": chain("abc"),
    "held": chain("a", held=True),
    "held three": chain("abc", held=True),
    "direct": chain("a", upstream=None),
    "tls": chain("a", tls=True),
    "grpc": chain("a", upstream="h2"),
    "grpc two": chain("ab", upstream="h2"),
    "grpc short": chain("a", upstream="h2", short=True),
}


def scripted(
    name,
    scripts,
    listener="one",
    protocols=BOTH,
    expect=None,
    paced=(None, None),
    races=False,
    certified=False,
    **request,
):
    """A case for each protocol. `scripts` is that of filter a, or one for each filter by name."""
    if isinstance(scripts, str):
        scripts = {"a": scripts}
    headers = [(f"x-{filter}", " ".join(script.split())) for filter, script in scripts.items()]
    headers += request.pop("headers", [])
    sent = Request(headers=headers, **request)
    return [
        Case(f"{name} ({protocol})", listener, protocol, sent, expect or {}, paced, races, certified)
        for protocol in protocols
    ]
