"""Writes in any order, right ones and wrong ones, told by indexes so that they can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hypothesis import strategies as st

from placement.pair import Pair, claim_body
from placement.world import (
    CLASSES,
    PROVIDERS,
    UNKNOWN,
    Claim,
    Inventory,
    aggregates,
    claims,
    inventories,
    traits,
)

_PROVIDERS = 4
"""Few, so that steps meet."""
_CONSUMERS = 3
_NOWHERE = _PROVIDERS
"""Index of a provider that is never made."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request.

    Attributes:
        at: index of the provider in the path, or of the consumer for ``allocations``.
        body: what is sent; generations are filled in where *stale* says how far off.
        reshaped: the providers whose inventories the reshaper replaces, by index.
    """

    method: str
    what: str
    at: int
    minor: int
    body: Mapping[str, Any] | None = None
    claims: tuple[tuple[int, Claim], ...] = ()
    stale: int = 0
    reshaped: tuple[tuple[int, dict[str, Any]], ...] = ()


class Teller:
    """Sends steps, and knows the generations that both servers have shown."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.consumers = [pair.new_consumer() for _ in range(_CONSUMERS)]
        self.provider_at: dict[str, int] = {}
        self.consumer_at: dict[str, int | None] = {}

    def tell(self, step: Step) -> None:
        """Send one step, then compare all that it may have changed."""
        if step.what == "reshaper":
            self._reshape(step)
        elif step.what == "allocations":
            self._claim(step)
        else:
            self._write(step)
        self._look(step)

    def _write(self, step: Step) -> None:
        provider = _uuid(step.at)
        home = (
            "/resource_providers"
            if step.method == "POST" and not step.what
            else (f"/resource_providers/{provider}{step.what}")
        )
        body = None if step.body is None else dict(step.body)
        if body is not None and "resource_provider_generation" in body:
            body["resource_provider_generation"] = self.provider_at.get(provider, 0) + step.stale
        if body is not None and set(body) == {"aggregates"}:
            body = body["aggregates"]  # before 1.19 the bare list
        self.pair.both(step.method, home, body, step.minor)

    def _reshape(self, step: Step) -> None:
        inventories = {
            _uuid(index): {
                "inventories": records,
                "resource_provider_generation": self.provider_at.get(_uuid(index), 0) + step.stale,
            }
            for index, records in step.reshaped
        }
        claims = self._bodies(step)
        body = {"inventories": inventories, "allocations": claims}
        self.pair.both("POST", "/reshaper", body, step.minor)

    def _claim(self, step: Step) -> None:
        consumers = self._bodies(step)
        if step.method == "POST":
            self.pair.both("POST", "/allocations", consumers, step.minor)
        else:
            body = consumers.get(self.consumers[step.at])
            self.pair.both(step.method, f"/allocations/{self.consumers[step.at]}", body, step.minor)

    def _bodies(self, step: Step) -> dict[str, dict[str, Any]]:
        """What each consumer sends; nothing from those that hold nothing and want nothing."""
        return {
            self.consumers[at]: self._body(step, at, claim)
            for at, claim in step.claims
            if claim or self.consumer_at.get(self.consumers[at]) is not None
        }

    def _body(self, step: Step, at: int, claim: Claim) -> dict[str, Any]:
        known = self.consumer_at.get(self.consumers[at])
        generation = known if not step.stale else (known or 0) + step.stale
        body = claim_body(claim, generation)
        if step.minor < 38:
            del body["consumer_type"]
        if step.minor < 28:
            del body["consumer_generation"]
        return body

    def _look(self, step: Step) -> None:
        touched = set() if step.what in ("allocations", "reshaper") else {step.at}
        touched |= {index for index, _ in step.reshaped}
        touched |= {index for _, claim in step.claims for index in claim}
        for index in sorted(touched):
            self._look_at(_uuid(index))
        consumers = {at for at, _ in step.claims} | (
            {step.at} if step.what == "allocations" else set()
        )
        for at in sorted(consumers):
            said = self.pair.both("GET", f"/allocations/{self.consumers[at]}")
            generation = said.get("consumer_generation") if said else None
            if generation is None:  # Placement may remember one that it has refused
                self.consumers[at] = self.pair.new_consumer()
            self.consumer_at[self.consumers[at]] = generation

    def _look_at(self, provider: str) -> None:
        home = f"/resource_providers/{provider}"
        said = self.pair.both("GET", home)
        if said is None:
            self.provider_at.pop(provider, None)
            return
        self.provider_at[provider] = said["generation"]
        for part in ("inventories", "usages", "traits", "aggregates", "allocations"):
            self.pair.both("GET", f"{home}/{part}")


def _uuid(index: int) -> str:
    return UNKNOWN if index == _NOWHERE else PROVIDERS[index]


_at = st.integers(0, _PROVIDERS - 1) | st.sampled_from((0, 1, _NOWHERE))
_stale = st.sampled_from((0, 0, 0, 0, 1, -1))
_name = st.sampled_from(CLASSES)
_record = inventories.map(asdict)
_parent = st.none() | _at.map(_uuid)


@st.composite
def _made(draw: st.DrawFn) -> Step:
    at = draw(st.integers(0, _PROVIDERS - 1))
    name = f"p{draw(st.sampled_from((at, at, at, 0)))}"
    body: dict[str, Any] = {"name": name, "uuid": PROVIDERS[at]}
    minor = draw(st.sampled_from((39, 39, 14, 1)))
    if minor >= 14:
        body["parent_provider_uuid"] = draw(_parent)
    return Step("POST", "", at, minor, body)


@st.composite
def _changed(draw: st.DrawFn) -> Step:
    at = draw(_at)
    body: dict[str, Any] = {"name": f"p{draw(st.sampled_from((at, at, 0)))}"}
    if draw(st.integers(0, 3)):
        body["parent_provider_uuid"] = draw(_parent)
    return Step("PUT", "", at, draw(st.sampled_from((39, 37, 36, 14))), body)


@st.composite
def _stocked(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(("all", "all", "one", "add", "drop", "drop all")))
    at, stale, minor = draw(_at), draw(_stale), draw(st.sampled_from((39, 39, 25, 5)))
    name, generation = draw(_name), {"resource_provider_generation": 0}
    one = f"/inventories/{name}"
    if kind == "all":
        records = draw(st.dictionaries(_name, _record, max_size=3))
        return Step(
            "PUT", "/inventories", at, minor, {"inventories": records, **generation}, stale=stale
        )
    if kind == "one":
        return Step("PUT", one, at, minor, {**draw(_record), **generation}, stale=stale)
    if kind == "add":
        return Step("POST", "/inventories", at, minor, {**draw(_record), "resource_class": name})
    return Step("DELETE", one if kind == "drop" else "/inventories", at, minor)


@st.composite
def _marked(draw: st.DrawFn) -> Step:
    at, stale = draw(_at), draw(_stale)
    generation = {"resource_provider_generation": 0}
    kind = draw(st.sampled_from(("traits", "traits", "no traits", "aggregates", "old aggregates")))
    if kind == "traits":
        names = draw(traits | st.just(["CUSTOM_NOT_THERE"]))
        return Step("PUT", "/traits", at, 39, {"traits": names, **generation}, stale=stale)
    if kind == "no traits":
        return Step("DELETE", "/traits", at, 39)
    body = {"aggregates": list(draw(aggregates))}
    if kind == "aggregates":
        return Step("PUT", "/aggregates", at, 39, {**body, **generation}, stale=stale)
    return Step("PUT", "/aggregates", at, 18, body)


@st.composite
def _claimed(draw: st.DrawFn) -> Step:
    at = draw(st.integers(0, _CONSUMERS - 1))
    method = draw(st.sampled_from(("PUT", "PUT", "PUT", "POST", "DELETE")))
    if method == "DELETE":
        return Step(method, "allocations", at, 39)
    minor, stale = draw(st.sampled_from((39, 39, 34, 28, 27, 13))), draw(_stale)
    claim: st.SearchStrategy[Claim] = claims(_PROVIDERS) | st.just({})
    parts = [(at, draw(claim))]
    if method == "POST" and draw(st.booleans()):
        parts.append(((at + 1) % _CONSUMERS, draw(claim)))
    return Step(method, "allocations", at, minor, claims=tuple(parts), stale=stale)


@st.composite
def _reshaped(draw: st.DrawFn) -> Step:
    records = st.dictionaries(_name, _record, max_size=3)
    places = draw(st.lists(_at, min_size=1, max_size=2, unique=True))
    consumers = draw(st.lists(st.integers(0, _CONSUMERS - 1), max_size=2, unique=True))
    return Step(
        "POST",
        "reshaper",
        0,
        draw(st.sampled_from((39, 34, 30))),
        claims=tuple((at, draw(claims(_PROVIDERS))) for at in consumers),
        stale=draw(_stale),
        reshaped=tuple((at, draw(records)) for at in places),
    )


_dropped = st.builds(Step, st.just("DELETE"), st.just(""), _at, st.just(39))
steps = st.lists(
    st.one_of(
        _made(),
        _changed(),
        _stocked(),
        _stocked(),
        _marked(),
        _claimed(),
        _claimed(),
        _reshaped(),
        _dropped,
    ),
    min_size=1,
    max_size=16,
)


def start() -> list[Step]:
    """Three providers, two of them one tree, with something to claim."""
    stock = {name: asdict(Inventory(4)) for name in ("VCPU", "CUSTOM_A")}
    body = {"inventories": stock, "resource_provider_generation": 0}
    told: list[Step] = []
    for at, parent in enumerate((None, PROVIDERS[0], None)):
        made = {"name": f"p{at}", "uuid": PROVIDERS[at], "parent_provider_uuid": parent}
        told += [Step("POST", "", at, 39, made), Step("PUT", "/inventories", at, 39, body)]
    return told
