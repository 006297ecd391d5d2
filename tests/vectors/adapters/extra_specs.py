"""Extra specs of flavors and properties of images, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.compute.extra_spec import (
    check_offered,
    check_properties,
    check_values,
    numa_policy,
)
from lanekeeper.domain.compute.flavor import Flavor
from lanekeeper.domain.errors import Invalid, NotOffered
from vectors.case import Answer, Data


def extra_specs(data: Data) -> Iterator[Answer]:
    name, value = data["name"], data["value"]
    try:
        if name.startswith("image:"):
            check_image({name.removeprefix("image:"): value})
        else:
            check_flavor({name: value})
    except Invalid:
        said = "invalid"
    except NotOffered:
        said = "not offered"
    else:
        said = "valid"
    yield Answer(said, data["expect"])


def values(data: Data) -> Iterator[Answer]:
    """What is said of a key and its value where they are set, from 2.86 on."""
    try:
        check_values({data["name"]: data["value"]})
    except Invalid:
        yield Answer("invalid", data["expect"])
    else:
        yield Answer("valid", data["expect"])


def check_flavor(specs: dict[str, str]) -> None:
    check_values(specs)
    numa_policy(specs, {})
    check_offered(Flavor(id="1", name="f", vcpus=1, ram_mib=1, disk_gib=1, extra_specs=specs))


def check_image(properties: dict[str, str]) -> None:
    numa_policy({}, properties)
    check_properties(properties)
