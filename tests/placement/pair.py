"""The same request to both servers, and whether they said the same."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from placement.apart import Exchange, known, peer_miscounts
from placement.world import CLASSES, PROVIDERS, TRAITS, Claim, Provider, Query, World
from placement_servers import Answer, Line

OWNER = {"project_id": "project", "user_id": "user"}
_ERROR_CODES_SINCE = 23
_LIMIT_SINCE = 16
_FEW = 2
_SHOWN = 2000


class Difference(AssertionError):
    """Two servers that do not agree; says what was asked and what each answered."""

    def __init__(self, asked: str, theirs: object, ours: object) -> None:
        shown = (json.dumps(said, default=str)[:_SHOWN] for said in (theirs, ours))
        super().__init__("{}\n  Placement:  {}\n  Lanekeeper: {}".format(asked, *shown))


class Parted(Exception):
    """The two differ for a known reason, and their states with them: no more can be compared."""


class Pair:
    """OpenStack Placement and Lanekeeper, asked in step; both empty to begin with.

    Attributes:
        reasons: for which answers differed, and how often.
        stories, ended: how many were told, and how many of them ended early, by reason.
    """

    def __init__(self, theirs: Line, ours: Line) -> None:
        self.theirs, self.ours = theirs, ours
        self.consumers: list[str] = []
        self.reasons: Counter[str] = Counter()
        self.stories = 0
        self.ended: Counter[str] = Counter()
        for name in TRAITS:
            if name.startswith("CUSTOM_"):
                self.both("PUT", f"/traits/{name}")
        for name in CLASSES:
            if name.startswith("CUSTOM_"):
                self.both("PUT", f"/resource_classes/{name}")

    def both(self, method: str, path: str, body: object = None, minor: int = 39) -> Any:
        """Ask both; return the body that both gave, None where they refused.

        Raises:
            Difference: status, error code or body are not the same; order does not count in lists.
            Parted: they are not, and it is known why; one of them has done what the other refused.
        """
        answers = [line.ask(method, path, body, f"1.{minor}") for line in (self.theirs, self.ours)]
        theirs, ours = (_comparable(answer, minor) for answer in answers)
        if theirs != ours:
            exchange = Exchange(method, path, body, minor, theirs, ours)
            if reason := known(exchange):
                self.reasons[reason] += 1
                if method == "GET" or exchange.both_refused:
                    return None
                raise Parted(reason)
            asked = f"1.{minor} {method} {path}" + (f" {json.dumps(body)}" if body else "")
            raise Difference(asked, *_apart(theirs, ours))
        return answers[0].body if answers[0].status < 400 else None

    # A world ----------------------------------------------------------------------------------

    def build(self, world: World) -> None:
        """Write a world to both."""
        for index, provider in enumerate(world.providers):
            self.make(index, provider)
        for claim in world.claims:
            self.both("PUT", f"/allocations/{self.new_consumer()}", claim_body(claim))

    def new_consumer(self) -> str:
        """Id of a consumer that neither has ever heard of: Placement remembers some for ever."""
        self.consumers.append(str(uuid.uuid4()))
        return self.consumers[-1]

    def make(self, index: int, provider: Provider) -> None:
        body = {"name": f"p{index}", "uuid": PROVIDERS[index]}
        if provider.parent is not None:
            body["parent_provider_uuid"] = PROVIDERS[provider.parent]
        self.both("POST", "/resource_providers", body)
        home, at = f"/resource_providers/{PROVIDERS[index]}", 0
        parts = {
            "inventories": {name: asdict(record) for name, record in provider.inventories.items()},
            "traits": list(provider.traits),
            "aggregates": list(provider.aggregates),
        }
        for what, value in parts.items():
            if value:
                wanted = {what: value, "resource_provider_generation": at}
                said = self.both("PUT", f"{home}/{what}", wanted)
                at = said["resource_provider_generation"] if said else at

    def ask(self, query: Query) -> None:
        """Ask; for candidates also for a few of them, which must be some of all."""
        if peer_miscounts(query):
            return
        path = f"{query.path}?{urlencode(query.parameters, safe=',:!')}"
        said = self.both("GET", path, minor=query.minor)
        candidates = "allocation_requests" in (said or {})
        if not candidates or query.minor < _LIMIT_SINCE:
            return
        whole = _unordered(said["allocation_requests"])
        for line in (self.theirs, self.ours):
            answer = line.ask("GET", f"{path}&limit={_FEW}", version=f"1.{query.minor}")
            few = _unordered(answer.body)["allocation_requests"]
            if len(few) != min(_FEW, len(whole)) or any(one not in whole for one in few):
                raise Difference(f"{path}&limit={_FEW} of {line.name}", whole, few)

    def look(self) -> None:
        """Compare everything that can be read of every provider and consumer."""
        found = self.both("GET", "/resource_providers")["resource_providers"]
        for provider in found:
            home = f"/resource_providers/{provider['uuid']}"
            for part in ("inventories", "usages", "traits", "aggregates", "allocations"):
                self.both("GET", f"{home}/{part}")
        for consumer in self.consumers:
            self.both("GET", f"/allocations/{consumer}")
        self.both("GET", "/usages?project_id=project")

    def clear(self) -> None:
        """Take everything away through the API, whatever state a failed example has left."""
        for line in (self.theirs, self.ours):
            for consumer in self.consumers:
                line.ask("DELETE", f"/allocations/{consumer}")
            left = line.ask("GET", "/resource_providers").body["resource_providers"]
            while left:
                parents = {provider["parent_provider_uuid"] for provider in left}
                for leaf in [one["uuid"] for one in left if one["uuid"] not in parents]:
                    answer = line.ask("DELETE", f"/resource_providers/{leaf}")
                    assert answer.status == 204, answer
                left = [one for one in left if one["uuid"] in parents]
        self.consumers.clear()


def claim_body(claim: Claim, generation: int | None = None) -> dict[str, Any]:
    """What a consumer sends to hold *claim*, and nothing but that."""
    return {
        "allocations": {
            PROVIDERS[index]: {"resources": amounts} for index, amounts in claim.items()
        },
        "consumer_generation": generation,
        "consumer_type": "INSTANCE",
        **OWNER,
    }


def _comparable(answer: Answer, minor: int) -> tuple[int, Any]:
    if answer.status < 400:
        return answer.status, _unordered(answer.body)
    if minor < _ERROR_CODES_SINCE:
        return answer.status, None
    return answer.status, answer.body["errors"][0].get("code")


def _unordered(value: Any) -> Any:
    """The same for two values that differ only in the order of lists, or in where they are mounted.

    A list becomes sorted, not a set: what is there twice stays there twice.
    """
    if isinstance(value, dict):
        return {name: _unordered(one) for name, one in value.items()}
    if isinstance(value, list):
        return sorted(map(_unordered, value), key=lambda one: json.dumps(one, sort_keys=True))
    if isinstance(value, str):
        return value.removeprefix("/placement")
    return value


def _apart(theirs: tuple[int, Any], ours: tuple[int, Any]) -> tuple[Any, Any]:
    """What differs, without the parts that are the same where both are objects of lists."""
    if theirs[0] != ours[0] or not (isinstance(theirs[1], dict) and isinstance(ours[1], dict)):
        return theirs, ours
    names = [name for name in theirs[1] | ours[1] if theirs[1].get(name) != ours[1].get(name)]
    return _without_common({n: theirs[1].get(n) for n in names}, {n: ours[1].get(n) for n in names})


def _without_common(theirs: dict[str, Any], ours: dict[str, Any]) -> tuple[Any, Any]:
    for name, mine in list(theirs.items()):
        other = ours[name]
        if isinstance(mine, list) and isinstance(other, list):
            theirs[name] = [one for one in mine if one not in other or mine.count(one) > 1]
            ours[name] = [one for one in other if one not in mine or other.count(one) > 1]
    return theirs, ours
