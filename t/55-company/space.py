"""The cases: which feature meets which deed, request, protocol, content and setting. Where not all can be had, each pair of two
values that go together is in some case; which else goes with it is up to the seed.
"""

import fnmatch
import random
from dataclasses import dataclass
from itertools import combinations

import deeds
import features
import requests

# Case numbers have six digits, so that what has them in it has the same length in each case.
FIRST_NUMBER = 700000
DIMENSIONS = ("feature", "deed", "request", "protocol", "content", "setting")


@dataclass(eq=False)
class Case:
    feature: features.Feature
    deed: deeds.Deed
    request: requests.Request
    protocol: str
    content: str
    setting: str
    number: int = 0
    # Where its server listens alone, for requests that do not say which one they want.
    address: str = ""
    # Seconds that only a failure reaches.
    bound: int = 30

    @property
    def id(self):
        return "/".join(
            (self.feature.name, self.deed.name, self.request.name, self.protocol, self.content, self.setting)
        )

    @property
    def host(self):
        if self.deed is deeds.NONE:
            return f"none-{self.feature.name}" if self.feature.server else "none"
        own = f".{self.feature.name}" if self.feature.server else ""
        return f"{self.deed.name}.{self.setting}{own}"

    @property
    def target(self):
        feature = self.feature
        path = feature.path.format(content=self.content, case=self.number)
        paced = "&paced=1" if self.request.kind == "events" and not self.deed.holds_all else ""
        return f"/{feature.name}/{path}?case={self.number}&content={self.content}{feature.arguments}{paced}"


def is_valid(feature, deed, request, protocol, content, setting):
    """Whether this can be asked, and says something."""
    if request.kind != feature.kind or (feature.requests and request.name not in feature.requests):
        return False
    if any(fnmatch.fnmatchcase(request.name, pattern) for pattern in feature.without_requests):
        return False
    if content not in feature.contents or deed.name in feature.without or setting in feature.settings_without:
        return False
    if feature.deeds and deed.name not in feature.deeds and deed is not deeds.NONE:
        return False
    if deed.needs_body and not (request.has_body and feature.role in ("main", "target") and not feature.prime_same):
        return False
    if request.name == "range-late" and content not in ("large", "long-chunked"):
        return False
    if request.version == "0.9" and (feature.refuses or feature.needs_headers):
        return False  # There is no status that tells whether nginx refuses.
    if feature.protocols and protocol not in feature.protocols:
        return False
    if deed.name == "append-response" and content == "empty":
        # It removes the length before it knows that there is no body.
        return False
    if deed.holds_headers and setting == "stop":
        return False
    if feature.converts and request.method == "HEAD" and deed.name == "resumes-response-headers":
        # The handler has ended by then, and the module finds nothing that it knows.
        return False
    return requests.fits(request, protocol)


class Space:
    def __init__(self, available, seed):
        """`available`: the features that this nginx has."""
        self.random = random.Random(seed)
        self.values = {
            "feature": available,
            "deed": deeds.DEEDS,
            "request": requests.REQUESTS,
            "protocol": requests.PROTOCOLS,
            "content": features.UPSTREAM,
            "setting": list(deeds.SETTINGS),
        }
        self.requests_of = {
            feature.name: [
                request
                for request in requests.REQUESTS
                if request.kind == feature.kind and (not feature.requests or request.name in feature.requests)
            ]
            for feature in available
        }

    def complete(self, given):
        """A case with these values, at random; None when chance has not found one."""
        choose = self.random.choice
        feature = given.get("feature") or choose(self.values["feature"])
        chosen = (
            feature,
            given.get("deed") or choose(self.values["deed"]),
            given.get("request") or choose(self.requests_of[feature.name]),
            given.get("protocol") or choose(feature.protocols or self.values["protocol"]),
            given.get("content") or choose(feature.contents),
            given.get("setting") or choose(self.values["setting"]),
        )
        return chosen if is_valid(*chosen) else None

    @staticmethod
    def key(value):
        return value if isinstance(value, str) else value.name

    def pairs_of(self, chosen):
        names = [(dimension, self.key(value)) for dimension, value in zip(DIMENSIONS, chosen)]
        return combinations(names, 2)

    def pairs(self):
        """A list of cases in which each pair is."""
        missing = {}
        for first, second in combinations(DIMENSIONS, 2):
            for one in self.values[first]:
                for other in self.values[second]:
                    missing[(first, self.key(one)), (second, self.key(other))] = {first: one, second: other}
        # Those of the largest dimensions first: the others come with them.
        order = list(missing)
        self.random.shuffle(order)
        order.sort(key=lambda pair: (pair[0][0], pair[1][0]) != ("feature", "deed"))
        found = []
        for pair in order:
            if pair not in missing:
                continue
            given = missing[pair]
            best, most, valid = None, 0, 0
            for _ in range(400):
                chosen = self.complete(given)
                if not chosen:
                    continue
                valid += 1
                new = sum(other in missing for other in self.pairs_of(chosen))
                if new > most:
                    best, most = chosen, new
                if valid == 12:
                    break
            missing.pop(pair)
            if best:
                for other in self.pairs_of(best):
                    missing.pop(other, None)
                found.append(Case(*best))
        return found

    def triples(self):
        """Each feature with each deed and each request; the rest at random."""
        found = []
        for feature in self.values["feature"]:
            for request in self.requests_of[feature.name]:
                for deed in self.values["deed"]:
                    given = {"feature": feature, "deed": deed, "request": request}
                    chosen = next(filter(None, (self.complete(given) for _ in range(50))), None)
                    if chosen:
                        found.append(Case(*chosen))
        self.random.shuffle(found)
        return found

    def matching(self, patterns):
        """All cases that match one of the patterns: six parts with `/` between them, each with `*` for any."""
        from fnmatch import fnmatchcase

        found = {}
        for pattern in patterns:
            parts = pattern.split("/")
            parts += ["*"] * (len(DIMENSIONS) - len(parts))
            picked = [
                [value for value in self.values[dimension] if fnmatchcase(self.key(value), part)]
                for dimension, part in zip(DIMENSIONS, parts)
            ]
            stack = [()]
            for values in picked:
                stack = [(*chosen, value) for chosen in stack for value in values]
            for chosen in stack:
                if is_valid(*chosen):
                    case = Case(*chosen)
                    found[case.id] = case
        return list(found.values())


def twin(case, request=None):
    """The same without a filter."""
    return Case(case.feature, deeds.NONE, request or case.request, case.protocol, case.content, "alone")
