"""Guests as persistent libvirt domains, known by the ids in their metadata."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import libvirt

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.hypervisor.driver import (
    Blueprint,
    Capacity,
    Guest,
    HeldDevice,
    Inventory,
    Power,
    Stranger,
)
from lanekeeper.hypervisor.libvirt.capacity import read_capacity
from lanekeeper.hypervisor.libvirt.card_xml import card_xml, function_xml, tap_xml, with_link
from lanekeeper.hypervisor.libvirt.connection import Connection, error_code
from lanekeeper.hypervisor.libvirt.domain_xml import (
    DomainFacts,
    domain_xml,
    parse_domain,
    with_metadata,
)
from lanekeeper.hypervisor.libvirt.markup import NAMESPACE, PREFIX
from lanekeeper.hypervisor.libvirt.qemu_img import backing_files, create_overlay
from lanekeeper.protocol import NicWanted, TapWanted

_POWERS: dict[int, Power] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",  # on its way down: still has its devices
    libvirt.VIR_DOMAIN_SHUTOFF: "stopped",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "paused",
}
_EVERY_TRACE = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


class LibvirtHypervisor:
    """See ``hypervisor.driver.Hypervisor``.

    Args:
        connection: to libvirt.
        files: where guests' files will lie.
        kvm: whether guests are ``type='kvm'`` (``[libvirt] virt_type``); None asks libvirt.
    """

    def __init__(self, connection: Connection, files: Path, *, kvm: bool | None = None) -> None:
        self._connection = connection
        self._files = files
        self._has_kvm = kvm

    def capacity(self) -> Capacity:
        with self._connection.asked_to("tell the size of this host") as connection:
            return read_capacity(connection, self._files)

    def inventory(self) -> Inventory:
        guests: list[Guest] = []
        strangers: list[Stranger] = []
        with self._connection.asked_to("list domains") as connection:
            for domain in connection.listAllDomains(0):
                with _unless_gone():
                    _sort_in(domain, guests, strangers)
        return Inventory(tuple(guests), tuple(strangers))

    def create_disk(self, disk: Path, base: Path, base_format: str, size_gib: int) -> None:
        create_overlay(disk, base, base_format, size_gib)

    def backing_files(self, disk: Path) -> tuple[Path, ...]:
        return backing_files(disk)

    def define(self, blueprint: Blueprint) -> None:
        server_id = blueprint.server.id
        known = self._find(server_id)
        generation = _facts(known, server_id).generation if known is not None else 0
        xml = domain_xml(blueprint, kvm=self._kvm(), generation=generation)
        with self._connection.asked_to(f"define server {server_id}") as connection:
            connection.defineXML(xml)

    def start_paused(self, server_id: str) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"start server {server_id}"):
            if not domain.isActive():
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def resume(self, server_id: str) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"resume server {server_id}"):
            if domain.state()[0] != libvirt.VIR_DOMAIN_RUNNING:
                domain.resume()

    def pause(self, server_id: str) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"pause server {server_id}"):
            if domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED:
                domain.suspend()

    def record(self, server_id: str, generation: int) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"write the metadata of server {server_id}"):
            _write_metadata(domain, generation=generation)

    def attach(self, server_id: str, nic: NicWanted, held: HeldDevice) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"plug {held.address} into server {server_id}"):
            _write_metadata(domain, held=held)
            for where in _BOTH:
                if function_xml(_definition(domain, where), held.address) is None:
                    domain.attachDeviceFlags(card_xml(nic, held.interface), where)

    def detach(self, server_id: str, address: PciAddress) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"take {address} out of server {server_id}"):
            for where in _BOTH:
                if (xml := function_xml(_definition(domain, where), address)) is not None:
                    with _unless_under_way():
                        domain.detachDeviceFlags(xml, where)

    def attach_tap(self, server_id: str, tap: TapWanted) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"plug port {tap.port_id} into server {server_id}"):
            for where in _BOTH:
                if tap_xml(_definition(domain, where), tap.port_id) is None:
                    domain.attachDeviceFlags(card_xml(tap), where)

    def link_tap(self, server_id: str, tap: TapWanted) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"set the link of port {tap.port_id} of {server_id}"):
            for where in _BOTH:
                if (xml := tap_xml(_definition(domain, where), tap.port_id)) is not None:
                    domain.updateDeviceFlags(with_link(xml, up=tap.link), where)

    def detach_tap(self, server_id: str, port_id: str) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"take port {port_id} out of server {server_id}"):
            for where in _BOTH:
                if (xml := tap_xml(_definition(domain, where), port_id)) is not None:
                    with _unless_under_way():
                        domain.detachDeviceFlags(xml, where)

    def shut_down(self, server_id: str) -> None:
        domain = self._get(server_id)
        with self._connection.asked_to(f"shut server {server_id} down"):
            if domain.state()[0] == libvirt.VIR_DOMAIN_RUNNING:
                domain.shutdown()

    def power_off(self, server_id: str) -> None:
        domain = self._find(server_id)
        if domain is None:
            return
        with self._connection.asked_to(f"power server {server_id} off"), _unless_off():
            if domain.isActive():
                domain.destroy()

    def undefine(self, server_id: str) -> None:
        domain = self._find(server_id)
        if domain is None:
            return
        with self._connection.asked_to(f"undefine server {server_id}"), _unless_gone():
            domain.undefineFlags(_EVERY_TRACE)

    def _kvm(self) -> bool:
        """Whether guests can be ``type='kvm'``; asked once, since that takes a while."""
        if self._has_kvm is None:
            with self._connection.asked_to("tell what it can do") as connection:
                try:
                    connection.getDomainCapabilities(None, "x86_64", "q35", "kvm")
                    self._has_kvm = True
                except libvirt.libvirtError:
                    self._has_kvm = False
        return self._has_kvm

    def _find(self, server_id: str) -> Any | None:
        with self._connection.asked_to(f"find server {server_id}") as connection:
            domain = None
            with _unless_gone():
                domain = connection.lookupByUUIDString(server_id)
            if domain is not None:
                _facts(domain, server_id)
            return domain

    def _get(self, server_id: str) -> Any:
        domain = self._find(server_id)
        if domain is None:
            raise NotFound(f"libvirt knows no server {server_id}")
        return domain


def _facts(domain: Any, server_id: str) -> DomainFacts:
    """Read a domain that must be the server's: one that only shares its uuid is a stranger's."""
    facts = parse_domain(domain.XMLDesc(0))
    if facts.id != server_id:
        raise HostFault(f"domain {domain.name()} has the uuid of server {server_id} but is not it")
    return facts


def _sort_in(domain: Any, guests: list[Guest], strangers: list[Stranger]) -> None:
    facts = parse_domain(domain.XMLDesc(0))
    power = _power(domain)
    if facts.id is None:
        is_active = power in {"running", "paused"}
        strangers.append(Stranger(domain.name(), is_active, facts.addresses))
        return
    known = {held.address: held for held in facts.drivers}
    guests.append(
        Guest(
            id=facts.id,
            power=power,
            generation=facts.generation,
            reboots=facts.reboots,
            devices=tuple(known.get(one, HeldDevice(one, None)) for one in facts.addresses),
            taps=facts.taps,
            unlinked=facts.unlinked,
        )
    )


def _power(domain: Any) -> Power:
    state, reason = domain.state()
    if (state, reason) == (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED):
        return "crashed"
    return _POWERS.get(state, "stopped")


_BOTH = (libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _definition(domain: Any, where: int) -> str:
    is_config = where == libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if is_config else 0))


def _write_metadata(
    domain: Any, *, generation: int | None = None, held: HeldDevice | None = None
) -> None:
    # The stopped and the running definition may differ; each gets its own metadata back.
    for where in _BOTH if domain.isActive() else _BOTH[:1]:
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            with_metadata(_definition(domain, where), generation=generation, held=held),
            PREFIX,
            NAMESPACE,
            where,
        )


@contextmanager
def _unless_under_way() -> Iterator[None]:
    """A device that the guest is about to let go of is asked for once.

    Source: libvirt ``qemu_hotplug.c``, "already in the process of unplug".
    """
    try:
        yield
    except libvirt.libvirtError as error:
        if "already in the process of unplug" not in str(error):
            raise


@contextmanager
def _unless_gone() -> Iterator[None]:
    """A domain that is not there is no failure."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error_code(error) != libvirt.VIR_ERR_NO_DOMAIN:
            raise


@contextmanager
def _unless_off() -> Iterator[None]:
    """A domain that ended by itself meanwhile is no failure."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error_code(error) not in {libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID}:
            raise
