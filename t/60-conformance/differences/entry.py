"""What an entry of the table is."""

from dataclasses import dataclass, field

# Any value, in a rule.
ANY = object()

HEADERS, HTTP, BODIES = "Header maps", "HTTP", "Bodies and trailers"
CONTEXTS, ANSWERS, WAITING = "Contexts", "Local responses", "Pauses and chains"
PROPERTIES, CALLS = "Properties", "Calls to other services"


@dataclass
class Difference:
    """Topic and texts are for the page. A rule is the case and the aspect (with * as wild card), and what it is in Envoy
    and here (None: nothing)."""

    topic: str
    what: str
    envoy: str
    here: str
    why: str
    rules: list = field(default_factory=list)
