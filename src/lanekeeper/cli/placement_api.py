"""A Placement server as the import reads and writes it: OpenStack's or Lanekeeper's, by its API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx
import msgspec

from lanekeeper.domain import typed
from lanekeeper.domain.errors import Conflict, Forbidden, Invalid, Unauthenticated, Unavailable
from lanekeeper.domain.placement.document import (
    ConsumerEntry,
    Document,
    InventoryEntry,
    ProviderEntry,
    differences,
    parents_first,
)
from lanekeeper.no_answer import no_answer

T = TypeVar("T")
_VERSION = "placement 1.39"
_BEFORE_TYPES = "placement 1.37"
"""The last version in which a consumer is written without a type."""
_FIRST = "/resource_providers"
"""What is asked for first of all."""
_TIMEOUT_S = 60.0
_AT_ONCE = 8
_CUSTOM = "CUSTOM_"
_NO_TYPE = "unknown"
"""How Placement shows a consumer whose type was never given; 1.38."""


@dataclass(slots=True)
class PlacementApi:
    """A connection that many threads may use.

    Attributes:
        url: what stands before ``/resource_providers``.
        verify: file of the CA, or True for the system's.
    """

    url: str
    token: str = field(repr=False)
    verify: str | bool = True
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(
            base_url=self.url.rstrip("/"),
            headers={"X-Auth-Token": self.token},
            timeout=_TIMEOUT_S,
            verify=self.verify,
            trust_env=False,
        )

    def ask(self, method: str, path: str, body: object = None, version: str = _VERSION) -> Any:
        """Send one request and return the answer's JSON, None where it has no body.

        Raises:
            Conflict: 409. Invalid: another refusal. Unauthenticated, Forbidden: 401, 403.
            Unavailable: no answer, an error of the server, or no Placement of 1.39.
        """
        content = None if body is None else msgspec.json.encode(body)
        headers = {"OpenStack-API-Version": version}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            answer = self._http.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            raise no_answer(f"Placement at {self.url}", error) from error
        if answer.is_error:
            raise _refusal(self.url, method, path, answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise Unavailable(f"{self.url} does not answer as Placement does: no JSON") from error

    def read(self) -> Document:
        """Read everything. What changes meanwhile may be read before or after it changed."""
        listed = self.ask("GET", _FIRST)["resource_providers"]
        classes = self.ask("GET", "/resource_classes")["resource_classes"]
        traits = self.ask("GET", "/traits")["traits"]
        told = _each(self._provider, listed)
        holders = sorted({holder for _, holders in told for holder in holders})
        consumers = _each(self._consumer, holders)
        return Document(
            resource_classes=_custom(one["name"] for one in classes),
            traits=_custom(traits),
            providers=tuple(provider for provider, _ in told),
            consumers=tuple(consumer for consumer in consumers if consumer.allocations),
        )

    def _provider(self, listed: dict[str, Any]) -> tuple[ProviderEntry, set[str]]:
        path = f"/resource_providers/{listed['uuid']}"
        stock = self.ask("GET", f"{path}/inventories")["inventories"]
        entry = ProviderEntry(
            uuid=listed["uuid"],
            name=listed["name"],
            parent=listed["parent_provider_uuid"],
            inventories={name: typed.convert(one, InventoryEntry) for name, one in stock.items()},
            traits=frozenset(self.ask("GET", f"{path}/traits")["traits"]),
            aggregates=frozenset(self.ask("GET", f"{path}/aggregates")["aggregates"]),
        )
        return entry, set(self.ask("GET", f"{path}/allocations")["allocations"])

    def _consumer(self, uuid: str) -> ConsumerEntry:
        told = self.ask("GET", f"/allocations/{uuid}")
        kind = told.get("consumer_type", "")
        return ConsumerEntry(
            uuid=uuid,
            project_id=told.get("project_id", ""),
            user_id=told.get("user_id", ""),
            type="" if kind == _NO_TYPE else kind,
            allocations={id_: part["resources"] for id_, part in told["allocations"].items()},
        )

    def write(self, wanted: Document, there: Document) -> Iterator[str]:
        """Make what of *wanted* is not in *there*, which is what this server has now.

        Yields what was refused because it does not fit; everything else is done.
        """
        _each(lambda name: self.ask("PUT", f"/resource_classes/{name}"),
              sorted(wanted.resource_classes - there.resource_classes))  # fmt: skip
        _each(lambda name: self.ask("PUT", f"/traits/{name}"), sorted(wanted.traits - there.traits))
        known = {provider.uuid: provider for provider in there.providers}
        for level in parents_first(wanted.providers):
            changed = [one for one in level if known.get(one.uuid) != one]
            _each(lambda one: self._write_provider(one, known.get(one.uuid)), changed)
        held = {consumer.uuid: consumer for consumer in there.consumers}
        asked = [one for one in wanted.consumers if held.get(one.uuid) != one]
        for refusal in _each(self._write_consumer, asked):
            if refusal:
                yield refusal

    def _write_provider(self, wanted: ProviderEntry, there: ProviderEntry | None) -> None:
        body = {"name": wanted.name, "parent_provider_uuid": wanted.parent}
        path = f"/resource_providers/{wanted.uuid}"
        if there is None:
            there = ProviderEntry(uuid=wanted.uuid, name=wanted.name, parent=wanted.parent)
            self.ask("POST", "/resource_providers", {**body, "uuid": wanted.uuid})
        elif (wanted.name, wanted.parent) != (there.name, there.parent):
            self.ask("PUT", path, body)
        parts = {
            "inventories": (wanted.inventories, there.inventories),
            "traits": (sorted(wanted.traits), sorted(there.traits)),
            "aggregates": (sorted(wanted.aggregates), sorted(there.aggregates)),
        }
        for name, (new, old) in parts.items():
            if new != old:
                generation = self.ask("GET", path)["generation"]
                part = {name: new, "resource_provider_generation": generation}
                self.ask("PUT", f"{path}/{name}", part)

    def _write_consumer(self, wanted: ConsumerEntry) -> str:
        path = f"/allocations/{wanted.uuid}"
        body = {
            "allocations": {id_: {"resources": part} for id_, part in wanted.allocations.items()},
            "project_id": wanted.project_id,
            "user_id": wanted.user_id,
            "consumer_generation": self.ask("GET", path).get("consumer_generation"),
        }
        if wanted.type:
            body["consumer_type"] = wanted.type
        try:
            self.ask("PUT", path, body, _VERSION if wanted.type else _BEFORE_TYPES)
        except Conflict as error:
            return f"consumer {wanted.uuid} is left out: {error}"
        return ""


def transfer(source: Document, target: PlacementApi) -> list[str]:
    """Bring *source* into *target* and compare; what is then still different, in sentences.

    Doing it again does only what is not done.
    """
    refused = list(target.write(source, target.read()))
    return [*refused, *differences(source, target.read())]


def _each(work: Callable[[Any], T], items: Iterable[Any]) -> list[T]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, items))


def _custom(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith(_CUSTOM))


def _refusal(url: str, method: str, path: str, answer: httpx.Response) -> Exception:
    try:
        text = str(answer.json()["errors"][0]["detail"]).strip().splitlines()[-1]
    except (ValueError, KeyError, IndexError, TypeError):
        text = f"HTTP {answer.status_code}"
    message = f"{method} {url}{path}: {text}"
    if answer.status_code == 406:  # noqa: PLR2004 HTTP
        return Unavailable(message, hint="both servers must speak Placement 1.39 (2023.1 or later)")
    if answer.status_code == 404 and path == _FIRST:  # noqa: PLR2004 HTTP
        return Invalid(
            f"there is no Placement at {url}",
            hint="name what stands before /resource_providers, such as https://HOST:8778/placement",
        )
    kinds: dict[int, type[Exception]] = {401: Unauthenticated, 403: Forbidden, 409: Conflict}
    if answer.is_server_error:
        return Unavailable(message)
    return kinds.get(answer.status_code, Invalid)(message)
