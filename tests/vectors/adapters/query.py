"""What a flavor asks of a host, beside the candidate query that Nova makes of it.

Each unit of an alias is a group of its own there: its class and its traits. ``OWNER_NOVA`` is left
out, which says whose devices they are: here they are the controller's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lanekeeper.domain.compute.extra_spec import numa_policy
from lanekeeper.domain.errors import Invalid, NotOffered
from lanekeeper.domain.pci.alias import Alias, check_together
from lanekeeper.domain.pci.request import flavor_requests
from lanekeeper.domain.scheduling.host import ServerRequest
from vectors.adapters.extra_specs import check_flavor
from vectors.case import Answer, Data

_OWNER = "OWNER_NOVA"
_GROUP, _TRAITS = "resourcesrequest", "requiredrequest"
_ASKED = ServerRequest(vcpus=2, ram_mib=1024, disk_gib=10)
"""Of the cases' flavor, which they do not name."""


def placement_query(data: Data) -> Iterator[Answer]:
    specs, properties = data["flavor_extra_specs"], data["image_properties"]
    try:
        check_flavor(specs)
    except NotOffered:
        yield Answer("not offered", _told(data))
        return
    except Invalid:
        yield Answer("refused", _told(data))
        return
    aliases = [Alias.parse(one) for one in data["aliases"]]
    check_together(aliases)
    text = specs.get("pci_passthrough:alias")
    requests = flavor_requests(aliases, text, numa_policy(specs, properties))
    groups = [
        [one.resource_class, sorted(one.traits)]
        for request in requests
        for one in request.alternatives
        for _ in range(request.count)
    ]
    yield Answer({"amounts": _ASKED.amounts, "groups": sorted(groups, key=str)}, _told(data))


def _told(data: Data) -> dict[str, Any]:
    """The same of Nova's query; how groups may lie together says ``group_policy`` of several."""
    query = data["expect"]["query"]
    pairs = {key: value for key, value in query if key != "group_policy"}
    amounts = (one.split(":") for one in pairs["resources"].split(","))
    groups = []
    for key, value in pairs.items():
        if key.startswith(_GROUP):
            traits = pairs.get(_TRAITS + key.removeprefix(_GROUP), "")
            name, _, number = value.partition(":")
            assert number == "1"
            groups.append([name, sorted({*traits.split(",")} - {_OWNER, ""})])
    return {
        "amounts": {name: int(number) for name, number in amounts},
        "groups": sorted(groups, key=str),
    }
