"""May a server move live, and its XML for the other host."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.migration import check_live_migration
from lanekeeper.hypervisor.libvirt.move_xml import move_devices
from vectors.adapters.host import needs
from vectors.case import Answer, Data
from vectors.markup import plain

_SINCE = 36
"""The service version from which on Nova's hosts move such ports."""


def live_migration_precheck(data: Data) -> Iterator[Answer]:
    versions = data["source_service_version"], data["destination_service_version"]
    try:
        check_live_migration(
            [need.request for need in needs(data["requests"] or ())],
            ports_bind_twice=data["neutron_multiple_bindings"],
            hosts_can=min(versions) >= _SINCE,
        )
        said = "allowed"
    except Conflict:
        said = "refused"
    yield Answer(said, data["expect"])


def live_migration_xml(data: Data) -> Iterator[Answer]:
    expect = data["expect"]
    expected = plain(etree.fromstring(expect["xml"])) if "xml" in expect else "error"
    if data["kind"] != "flavor_devices":
        yield Answer("not offered", expected)
        return
    pairs = data["source_to_destination"].items()
    moved = {PciAddress.parse(one): PciAddress.parse(other) for one, other in pairs}
    try:
        yield Answer(plain(etree.fromstring(move_devices(data["xml"], moved))), expected)
    except Invalid:
        yield Answer("error", expected)
