"""Names of resource classes and traits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.resource_class import parse_traits, resource_class_of, traits_of
from vectors.case import Answer, Data


def normalization(data: Data) -> Iterator[Answer]:
    try:
        said = outcome(data["kind"], data["given"])
    except Invalid:
        said = "refused"
    yield Answer(said, data["expect"])


def outcome(kind: str, given: Any) -> Any:
    if kind == "traits":
        return sorted(parse_traits(given))
    if kind == "traits_reported_for_spec":
        return sorted(traits_of(given))
    tags = {"resource_class": given["resource_class"] or ""}
    ids = int(given["vendor_id"], 16), int(given["product_id"], 16)
    return resource_class_of(*ids, DeviceType.PCI, tags)
