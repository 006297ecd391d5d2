"""What a client asks when it creates a server, checked before anything is taken.

Everything that can be known to be wrong is said here, while the client still listens.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.flavor import flavor_seen
from lanekeeper.control.compute.server_hint import check_hints
from lanekeeper.control.compute.server_nic import (
    Nic,
    NicAsked,
    check_nics,
    check_pairs,
    check_switched,
    default_vnic_type,
    need_filter,
)
from lanekeeper.control.image.image import image_for_server
from lanekeeper.control.network.port_rules import check_filtered, refuse_unfiltered
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.extra_spec import (
    check_offered,
    check_properties,
    isolates,
    numa_policy,
    root_policy,
)
from lanekeeper.domain.compute.flavor import ALIAS_SPEC, Flavor
from lanekeeper.domain.errors import Forbidden, Invalid, NotFound
from lanekeeper.domain.image.record import ImageRecord
from lanekeeper.domain.network.card import EMULATED, made_vnic_type, vif_model
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.network.vf_wanted import flavor_rates
from lanekeeper.domain.pci.alias import NumaPolicy
from lanekeeper.domain.pci.request import flavor_requests
from lanekeeper.domain.scheduling.host import DEFAULT_ZONE, DeviceNeed, ServerRequest
from lanekeeper.domain.topology.guest import GuestTopology
from lanekeeper.domain.topology.guest_spec import guest_topology
from lanekeeper.store.compute.aggregate import aggregate_list
from lanekeeper.store.compute.keypair import keypair_get
from lanekeeper.store.host.host import host_by_name
from lanekeeper.store.network.security_group import security_group_list

_MIB_PER_GIB = 1024
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServer:
    """What a client says of a new server; its values have the right form already.

    Attributes:
        networks: ``none`` and ``auto`` both give no card: no network is made by itself here.
        zone: ``ZONE``, ``ZONE:HOST`` or ``ZONE:HOST:NODE``.
        user_data: base64 of UTF-8 text, at most 64 KiB.
    """

    name: str
    flavor_id: str
    image_id: str
    networks: Sequence[NicAsked] | Literal["none", "auto"] = "none"
    security_groups: Sequence[str] = ()
    description: str = ""
    hostname: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    key_name: str | None = None
    user_data: str | None = None
    config_drive: bool = True
    zone: str | None = None
    host: str | None = None
    hypervisor: str | None = None
    hints: Mapping[str, Any] = field(default_factory=dict)
    access_ip_v4: str = ""
    access_ip_v6: str = ""
    disk_config: str = "MANUAL"
    min_count: int = 1
    max_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request for a server that is right in itself; only a host is missing.

    Attributes:
        groups: ids of the security groups of ports made for the server; None for the default.
        request: what the scheduler has to find.
        zone: the availability zone in which the server has to stay; None for any.
    """

    asked: NewServer
    project_id: str
    flavor: Flavor
    image: ImageRecord
    nics: tuple[Nic, ...]
    groups: tuple[str, ...] | None
    public_key: str | None
    request: ServerRequest
    zone: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """What a server needs of its host: *request* is what the scheduler has to find.

    Attributes:
        groups: as in ``Order``.
    """

    nics: tuple[Nic, ...]
    groups: tuple[str, ...] | None
    request: ServerRequest


def check_order(connection: sa.Connection, site: Site, caller: Caller, asked: NewServer) -> Order:
    """Look up everything that *asked* names and check it.

    Raises:
        Invalid: something does not exist, or does not go together.
        Forbidden: what only admins may ask for; flavor's and image's NUMA policies or vnic types
            differ.
        Conflict: a port is in use.
        NotOffered: what is not there yet; never silently left out.
    """
    if caller.project_id is None:
        raise Invalid("a server belongs to a project: use a token with a project scope")
    flavor = _flavor(connection, caller, asked.flavor_id)
    image = image_of_order(connection, caller, asked.image_id, flavor)
    wants = check_wants(connection, site, caller, asked, flavor=flavor, image=image)
    for vnic_type in _made(wants.nics):
        check_filtered(site, vnic_type, wants.groups or (), caller.project_id)
    key = keypair_get(connection, caller.user_id, asked.key_name) if asked.key_name else None
    if asked.key_name and key is None:
        raise Invalid("Invalid key_name provided.", hint="openstack keypair list shows yours")
    return Order(
        asked=asked,
        project_id=caller.project_id,
        flavor=flavor,
        image=image,
        nics=wants.nics,
        groups=wants.groups,
        public_key=key.public_key if key else None,
        request=wants.request,
        zone=wants.request.zone,
    )


def check_wants(
    connection: sa.Connection,
    site: Site,
    caller: Caller,
    asked: NewServer,
    *,
    flavor: Flavor,
    image: ImageRecord | None,
) -> Wants:
    """Look up all that choosing a host depends on, for a creation as for a question about one.

    Raises:
        Invalid, Forbidden, Conflict, NotOffered: as ``check_order``.
    """
    filters = site.config.scheduler.enabled_filters
    hints = check_hints(connection, caller, asked.hints, filters)
    check_offered(flavor, filters)
    properties = image.properties if image is not None else {}
    policy = numa_policy(flavor.extra_specs, properties)
    needs = alias_needs(site, flavor, policy, caller.project_id)
    cards = () if isinstance(asked.networks, str) else asked.networks
    if asked.max_count > 1 and any(card.port_id for card in cards):
        raise Invalid("Unable to launch multiple instances with a single configured port ID.")
    made = made_vnic_type(flavor.extra_specs, properties, default_vnic_type(site))
    nics = check_nics(connection, caller, cards, policy, made)
    if any(nic.vnic_type in EMULATED for nic in nics):
        vif_model(properties)
    check_pairs(nics, properties)
    flavor_rates(flavor.extra_specs)
    zone, host = place_of(connection, caller, asked)
    groups = _groups(connection, caller, asked)
    check_switched(nics)
    request = ServerRequest(
        vcpus=flavor.vcpus,
        ram_mib=flavor.ram_mib,
        disk_gib=flavor.disk_gib,
        needs=(*needs, *(nic.need for nic in nics if nic.need is not None)),
        switched=frozenset(nic.physical_networks for nic in nics if nic.need is None),
        guarded=need_filter(site, nics, groups or (), caller.project_id or ""),
        paired=frozenset(nic.physical_networks for nic in nics if nic.is_pair),
        zone=zone,
        host=host,
        topology=topology_of(flavor, properties),
        pcie_root=root_policy(flavor.extra_specs),
        isolate=isolates(flavor.extra_specs),
        pack_cells=site.config.compute.pack_cells,
        project_id=caller.project_id,
        flavor_name=flavor.name,
        extra_specs=flavor.extra_specs,
        image_id=image.id if image is not None else None,
        image_properties=properties,
        same_host=hints.same_host,
        different_host=hints.different_host,
        group=hints.group,
    )
    for vnic_type in _made(nics):
        refuse_unfiltered(site, vnic_type, groups or (), caller.project_id or "")
    return Wants(nics=nics, groups=groups, request=request)


def _made(nics: Sequence[Nic]) -> list[VnicType]:
    """The kinds of the ports that are made for the server."""
    return sorted({nic.vnic_type for nic in nics if nic.port is None})


def alias_needs(
    site: Site, flavor: Flavor, policy: NumaPolicy | None, project_id: str | None
) -> tuple[DeviceNeed, ...]:
    """The devices that a flavor asks for by alias.

    Raises:
        Invalid: it names an alias that is not defined; those that are, are named.
        Forbidden: it names one that is for other projects than *project_id*.
    """
    requests = flavor_requests(
        site.config.pci.alias, flavor.extra_specs.get(ALIAS_SPEC), policy, project_id=project_id
    )
    return tuple(
        DeviceNeed(id=str(uuid.uuid4()), name=f"alias {request.alias_name}", request=request)
        for request in requests
        if request.count
    )


def topology_of(flavor: Flavor, properties: Mapping[str, Any]) -> GuestTopology | None:
    """NUMA nodes, pinned CPUs and pages that flavor and image ask for; None for none of it.

    Raises:
        Invalid: a value of the wrong form, or what does not go together.
    """
    return guest_topology(flavor.vcpus, flavor.ram_mib, flavor.extra_specs, properties)


def _flavor(connection: sa.Connection, caller: Caller, flavor_id: str) -> Flavor:
    try:
        return flavor_seen(connection, caller, flavor_id)
    except NotFound as error:
        raise Invalid(f"flavorRef: {error}") from error


def image_of_order(
    connection: sa.Connection, caller: Caller, image_id: str, flavor: Flavor
) -> ImageRecord:
    if not image_id:
        raise Invalid(
            "Invalid imageRef provided: a server boots from an image here",
            hint="volumes are Cinder's, which Lanekeeper does not have",
        )
    try:
        image = image_for_server(connection, caller, image_id)
    except NotFound as error:
        raise Invalid(f"Can not find requested image: {error}") from error
    for part in ("kernel_id", "ramdisk_id"):
        if named := image.properties.get(part):
            _part(connection, caller, image, part, named)
    if flavor.ram_mib < image.min_ram_mib:
        raise Invalid(
            f"Flavor's memory is too small for requested image: {flavor.name} has "
            f"{flavor.ram_mib} MiB, the image's min_ram is {image.min_ram_mib}"
        )
    _check_disk(image, flavor)
    check_properties(image.properties)
    return image


def _part(
    connection: sa.Connection, caller: Caller, image: ImageRecord, part: str, named: str
) -> None:
    try:
        image_for_server(connection, caller, named, part)
    except (NotFound, Invalid) as error:
        raise Invalid(f"Image {image.id} names the {part} {named[:80]}: {error}") from error


def _check_disk(image: ImageRecord, flavor: Flavor) -> None:
    if not flavor.disk_gib:
        return  # as large as the image is
    size = image.virtual_size_bytes or image.size_bytes or 0
    if flavor.disk_gib < image.min_disk_gib or flavor.disk_gib * _GIB < size:
        least = max(image.min_disk_gib, -(-size // _GIB))
        raise Invalid(
            f"Flavor's disk is too small for requested image: {flavor.name} has "
            f"{flavor.disk_gib} GiB, the image needs {least}"
        )


def _groups(connection: sa.Connection, caller: Caller, asked: NewServer) -> tuple[str, ...] | None:
    """Ids of the groups that are named or meant; None where only the default group is."""
    names = set(asked.security_groups) - {"default"}
    if not names:
        return None
    groups = security_group_list(connection, project_id=caller.project_id)
    ids = []
    for name in asked.security_groups:
        mine = [group.id for group in groups if name in (group.name, group.id)]
        if len(mine) != 1:
            how = "not found" if not mine else "not unique"
            raise Invalid(f"Security group {name[:80]} {how} for project {caller.project_id}.")
        ids += mine
    return tuple(ids)


def place_of(
    connection: sa.Connection, caller: Caller, asked: NewServer
) -> tuple[str | None, str | None]:
    """The zone in which the server has to be and the one host that it may have, each or None.

    Raises:
        Invalid: there is no such host or zone, or two hosts are named.
        Forbidden: a host is named, and the caller is no admin.
    """
    zone, _, rest = (asked.zone or "").partition(":")
    host = rest.partition(":")[0] or asked.host or asked.hypervisor
    for named in filter(None, {rest.partition(":")[0], asked.host, asked.hypervisor}):
        if not caller.is_admin:
            raise Forbidden("Policy does not allow a host to be chosen: that is for admins")
        if host_by_name(connection, named) is None:
            raise Invalid(f"Compute host {named} could not be found.")
        if named != host:
            raise Invalid(f"No one host is both {named} and {host}")
    if zone and zone not in _zones(connection):
        raise Invalid(
            "The requested availability zone is not available",
            hint=f"there are: {', '.join(sorted(_zones(connection)))}",
        )
    return zone or None, host or None


def _zones(connection: sa.Connection) -> set[str]:
    named = {aggregate.zone for aggregate in aggregate_list(connection) if aggregate.hosts}
    return {DEFAULT_ZONE, *(zone for zone in named if zone is not None)}
