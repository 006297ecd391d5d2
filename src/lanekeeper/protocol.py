"""What controller and agent say to each other, byte for byte.

The controller decides, the agent obeys, the agent reports facts. Both sides are level-triggered:
``Desired`` is the whole state that one host should be in, ``HostFacts`` and ``HostState`` the whole
of what the agent sees there; nothing is a one-shot message, so any of them may be lost or repeated.

    POST /lanekeeper/agent/v1/enrolments             Enrolment  -> Credential   (one-time token)
    POST /lanekeeper/agent/v1/hosts/{id}/credential             -> Credential   (a new one)
    PUT  /lanekeeper/agent/v1/hosts/{id}/facts       HostFacts  -> 204          (when they change)
    POST /lanekeeper/agent/v1/hosts/{id}/facts/trial HostFacts  -> 204          (taken, if told?)
    PUT  /lanekeeper/agent/v1/hosts/{id}/state       HostState  -> 204          (when it changes)
    PUT  /lanekeeper/agent/v1/hosts/{id}/health      HostHealth -> 204          (when it changes)
    PUT  /lanekeeper/agent/v1/hosts/{id}/vfs         HostVfs    -> 204          (when they change)
    GET  /lanekeeper/agent/v1/hosts/{id}/desired?after=G.MARK&wait=55  -> Desired | 304
    GET  /lanekeeper/agent/v1/hosts/{id}/images/{image_id}             -> the image's bytes
    PUT  /lanekeeper/agent/v1/hosts/{id}/consoles/{server_id}          text, at most CONSOLE_BYTES

Every request but the enrolment carries ``Authorization: Bearer <credential>`` and
``Lanekeeper-Agent-Protocol: 1``. Addresses are PCI addresses in the kernel's spelling, MACs lower
case with colons, sizes in the unit that the name ends with.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, Self

import msgspec

from lanekeeper.domain.network.guard.guarded import Rule
from lanekeeper.domain.pci.vf_change import VfChange
from lanekeeper.domain.pci.vf_settings import LinkState, VfSettings

VERSION = 1
HEADER = "Lanekeeper-Agent-Protocol"
PREFIX = "/lanekeeper/agent/v1"
CONSOLE_BYTES = 256 * 1024
"""The tail of a guest's console that an agent uploads at most."""
TURNED = "lanekeeper.device.partition"
"""Code of a refusal: the configuration gives away the other side of a card that a guest holds."""


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what crosses the border; unknown fields are ignored, so that N-1 and N can talk."""


class Enrolment(Wire, frozen=True):
    """An agent introduces its host. ``host_id`` comes from the agent's state directory."""

    token: str
    host_id: str
    host_name: str

    def __repr__(self) -> str:
        return f"Enrolment(host_id={self.host_id!r}, host_name={self.host_name!r})"


class Credential(Wire, frozen=True):
    """The bearer token that the agent keeps; shown once, stored hashed."""

    credential: str

    def __repr__(self) -> str:
        return "Credential(…)"


# What the agent reports ---------------------------------------------------------------------------


class DeviceFact(Wire, frozen=True):
    """One PCI function that ``[pci] device_spec`` lists, or the PF of one that it lists.

    Attributes:
        listed: whether the configuration gives it to guests; an unlisted PF is told for its VFs.
        entry: which device_spec entry matched first, counted from 0.
        tags: the entry's tags as text (physical_network, resource_class, traits, trusted, managed,
            live_migratable, one_time_use, ...); empty when not listed.
        pcie_root: address of the root port that it hangs on.
        serial: the card's serial number; a device that moves slots keeps its identity through it.
        slot: the physical slot of the card; tells for one without a serial number. Like that told
            of what is no VF, and by an older agent of nothing.
        unit: the first address of those that can only be given away together; None for what is
            alone.
        host_driver: the driver by which the host itself can have a VF as an interface while a guest
            uses it; None where it cannot, for what is no network card's VF, and from an older
            agent, which knows no macvtap.
    """

    address: str
    vendor_id: str
    product_id: str
    dev_type: Literal["type-PCI", "type-PF", "type-VF"]
    listed: bool = True
    entry: int | None = None
    tags: dict[str, str] = {}
    parent: str | None = None
    vf_index: int | None = None
    numa_node: int | None = None
    pcie_root: str | None = None
    iommu_group: int | None = None
    driver: str | None = None
    netdev: str | None = None
    mac: str | None = None
    serial: str | None = None
    slot: str | None = None
    label: str | None = None
    unit: str | None = None
    host_driver: str | None = None


class PfFact(Wire, frozen=True):
    """One PF of the host, whether or not guests may have it or its VFs: what a policy selects by.

    Attributes:
        vfs_max: how many VFs it can have.
        vfs: how many it has, listed or not; None from an older agent.
    """

    address: str
    vendor_id: str
    product_id: str
    vfs_max: int
    vfs: int | None = None
    class_code: int = 0
    numa_node: int | None = None
    pcie_root: str | None = None
    driver: str | None = None
    netdev: str | None = None
    serial: str | None = None
    slot: str | None = None


class PagesFact(Wire, frozen=True):
    """Huge pages of one size that a NUMA node has, in use or not."""

    size_kib: int
    total: int


class NumaCell(Wire, frozen=True):
    """One NUMA node of the host: its CPUs and its memory.

    Attributes:
        memory_mib: all of it, that of huge pages, too.
        socket: physical package; None where it is not known.
        siblings: CPUs that are threads of one core, core by core.
        dedicated: CPUs that are given to one guest's CPU each.
        shared: CPUs that guests' other CPUs float over; None for all.
    """

    id: int
    cpus: list[int] = []
    memory_mib: int = 0
    socket: int | None = None
    siblings: list[list[int]] = []
    dedicated: list[int] = []
    shared: list[int] | None = None
    pages: list[PagesFact] = []


class BandwidthFact(Wire, frozen=True):
    """What an interface carries, kbit/s as guests see it, by the agent's configuration.

    Attributes:
        egress_kbps, ingress_kbps: None where nothing is said of that direction.
        reserved, min_unit, max_unit, step_size, allocation_ratio: of both inventories; max_unit
            None for the whole.
    """

    interface: str
    egress_kbps: int | None = None
    ingress_kbps: int | None = None
    reserved: int = 0
    min_unit: int = 1
    max_unit: int | None = None
    step_size: int = 1
    allocation_ratio: float = 1.0


class EntryFact(Wire, frozen=True):
    """One entry of ``[pci] device_spec``: what it says, and FILE:LINE where it stands."""

    text: str
    source: str = ""


class HostFacts(Wire, frozen=True):
    """What changes seldom on a host: its size, its devices, what the agent can do.

    Attributes:
        protocol: the agent's protocol version.
        mappings: physical network to the PFs (netdev names) that reach it, for port binding.
        bridges: physical network to the virtual switch on it, of those that are there.
        guards: whether ports of those that are bound from now on are guarded (``TapWanted.guard``);
            an older agent cannot.
        pairs: whether a guest can have a VF with a card of a virtual switch that stands by for it
            (``NicWanted.failover``); an older agent cannot.
        bandwidths: what interfaces carry that ports can be promised; an older agent tells of none.
        pfs: every PF that is there; an older agent tells of none.
        device_spec: the entries that list the devices; None from an older agent.
        unlisted: what is on the bus and not in *devices*: ``vendor_id:product_id`` by address; an
            older agent tells of none.
        problems: devices or settings that were set aside, each one sentence.
    """

    host_name: str
    protocol: int = VERSION
    agent_version: str = ""
    hypervisor: str = "qemu"
    hypervisor_version: int = 0
    architecture: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0
    cells: list[NumaCell] = []
    devices: list[DeviceFact] = []
    mappings: dict[str, list[str]] = {}
    bridges: dict[str, str] = {}
    guards: bool = False
    pairs: bool = False
    bandwidths: list[BandwidthFact] = []
    pfs: list[PfFact] = []
    device_spec: list[EntryFact] | None = None
    unlisted: dict[str, str] = {}
    problems: list[str] = []


class DeviceHealth(Wire, frozen=True):
    """What the host reads of one function that is no VF; what is absent it cannot tell.

    Attributes:
        driver_problem: why it has no driver although it should; empty when all is well.
        carrier: whether its interface has a link.
        speed_gts, width: of its PCIe link, in GT/s and lanes.
        fatal, nonfatal, correctable: AER's counts since the kernel knows the function.
    """

    address: str
    driver_problem: str = ""
    carrier: bool | None = None
    speed_gts: float | None = None
    width: int | None = None
    fatal: int | None = None
    nonfatal: int | None = None
    correctable: int | None = None


class HostHealth(Wire, frozen=True):
    """How well the functions are that are listed, or are PFs of those. An older controller has no
    such resource: an agent that is answered 404 tells it no more.
    """

    devices: list[DeviceHealth] = []


LinkStateName = Literal["auto", "enable", "disable"]
LINK_STATES: Mapping[LinkState, LinkStateName] = {
    LinkState.AUTO: "auto",
    LinkState.ENABLE: "enable",
    LinkState.DISABLE: "disable",
}
"""What a VF is told of its link, as it is said on the wire: iproute2's words."""
_LINK_STATES = {name: state for state, name in LINK_STATES.items()}


class VfReading(Wire, frozen=True):
    """What a PF holds for one VF, in the words of ``NicWanted``.

    Attributes:
        mac: None for no administrative address.
        qos: 802.1p priority.
        spoof_check, trusted, link_state: None where the driver does not tell.
    """

    mac: str | None = None
    vlan: int = 0
    qos: int = 0
    spoof_check: bool | None = None
    trusted: bool | None = None
    link_state: LinkStateName | None = None
    min_tx_mbps: int = 0
    max_tx_mbps: int = 0

    @classmethod
    def of(cls, found: VfSettings) -> Self:
        return cls(
            mac=found.mac,
            vlan=found.vlan,
            qos=found.qos,
            spoof_check=found.spoofchk,
            trusted=found.trust,
            link_state=None if found.link_state is None else LINK_STATES[found.link_state],
            min_tx_mbps=found.min_tx_rate,
            max_tx_mbps=found.max_tx_rate,
        )

    def settings(self) -> VfSettings:
        return VfSettings(
            mac=self.mac,
            vlan=self.vlan,
            qos=self.qos,
            spoofchk=self.spoof_check,
            link_state=None if self.link_state is None else _LINK_STATES[self.link_state],
            trust=self.trusted,
            min_tx_rate=self.min_tx_mbps,
            max_tx_rate=self.max_tx_mbps,
        )


class VfMend(Wire, frozen=True):
    """Settings that something else had changed, and that the agent has written again.

    Attributes:
        at: by the host's clock; tells two of them apart.
        lost: names of settings, as of ``VfChange``.
        was: what the VF was found set to.
    """

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    lost: list[str]
    was: VfReading


class VfFact(Wire, frozen=True):
    """What the VF of a port was last found set to, while its guest runs.

    Attributes:
        address: of the VF.
        unknown: names of settings that its driver has said it does not know, as of ``VfChange``.
        mended: the last time; None where this agent, since it was started, never had to.
        held_down: why its host keeps its link down, since nothing passes at its uplink; empty
            where it does not, and from an older agent.
    """

    port_id: str
    address: str
    found: VfReading
    unknown: list[str] = []
    mended: VfMend | None = None
    held_down: str = ""


class HostVfs(Wire, frozen=True):
    """All VFs of running guests that could be read. An older controller has no such resource: an
    agent that is answered 404 tells it no more. An older agent tells nothing.
    """

    vfs: list[VfFact] = []


class ServerState(Wire, frozen=True):
    """One guest as the host has it.

    Attributes:
        power: ``absent`` answers a tombstone: no domain, no files, devices given back.
        generation: the server's generation in the desired state that led to this.
        problem: why the host could not do what was wanted; one sentence, empty when it could.
        given_up: generation of the order that failed for good, whatever the guest does now; 0 for
            none. The agent tries no more until the order changes.
        devices: addresses of the functions that the domain holds.
        taps: ids of the ports of a virtual switch that it has cards of.
        memo: what the controller last gave along with the server; told by a frozen host only.
    """

    id: str
    power: Literal["running", "stopped", "paused", "crashed", "absent", "failed"]
    generation: int = 0
    problem: str = ""
    given_up: int = 0
    devices: list[str] = []
    taps: list[str] = []
    memo: str = ""


class CleaningState(Wire, frozen=True):
    """How the cleaning of one device went; ``round`` repeats what was asked for."""

    device_id: str
    round: int
    clean: bool
    steps: list[str] = []
    problem: str = ""
    seconds: float = 0.0


class HostState(Wire, frozen=True):
    """What changes often: the guests, the cleaning, and how far the agent has obeyed.

    Attributes:
        obeyed: ``G.MARK`` of the desired state that was last worked through, or empty.
        strangers: names of domains that are not Lanekeeper's; told, never touched.
    """

    obeyed: str = ""
    servers: list[ServerState] = []
    cleaned: list[CleaningState] = []
    strangers: list[str] = []


# What the controller wants ------------------------------------------------------------------------


class DeviceWanted(Wire, frozen=True):
    """One function that a guest holds through a flavor's alias, or that must be cleaned.

    Attributes:
        card_serial: serial number of the card that it is a function of, where that told one; on
            another card at the same address nothing is done.
        unit: name of those that are given away and cleaned together; None for what is alone.
    """

    device_id: str
    address: str
    vendor_id: str
    product_id: str
    managed: bool = True
    alias: str = ""
    card_serial: str | None = None
    unit: str | None = None


class NicWanted(Wire, frozen=True):
    """One network card of a guest: a VF with the settings that its port asks for.

    Attributes:
        macvtap: the card that the guest sees, as QEMU calls it, where it has the VF through a
            macvtap on the VF's interface; None where the function itself is handed over.
        vlan: 0 for an untagged (flat) network.
        link_state: what the PF is told of the VF's link.
        min_tx_mbps, max_tx_mbps: what the guest is promised to send, and may send at most, in
            Mbit/s; 0 is no guarantee, no limit.
        link: name under which the config drive describes it.
        failover: whether a card of the same port in ``ServerWanted.taps`` stands by for it.
    """

    port_id: str
    mac: str
    device: DeviceWanted
    pf_netdev: str | None = None
    vf_index: int | None = None
    vlan: int = 0
    spoof_check: bool = True
    trusted: bool = False
    link_state: LinkStateName = "auto"
    min_tx_mbps: int = 0
    max_tx_mbps: int = 0
    mtu: int = 1500
    macvtap: str | None = None
    failover: bool = False

    def settings(self) -> VfChange:
        """All that the port asks of its VF."""
        return VfChange(
            mac=self.mac,
            vlan=self.vlan,
            spoofchk=self.spoof_check,
            link_state=_LINK_STATES[self.link_state],
            trust=self.trusted,
            rates=(self.min_tx_mbps, self.max_tx_mbps),
        )


class GuardWanted(Wire, frozen=True):
    """What guards a port of a virtual switch: without a flow that says so, nothing passes.

    Attributes:
        sources: MAC and prefix from which its guest may send.
        rules: what may pass, of that.
    """

    sources: list[tuple[str, str]] = []
    rules: list[Rule] = []


class TapWanted(Wire, frozen=True):
    """A card of a guest that is a port of a virtual switch of its host.

    Attributes:
        bridge: the switch.
        physical_network: the one that it is on.
        vlan: its access VLAN; 0 for untagged frames alone.
        link: whether the guest is shown a link.
        model: the card that the guest sees, as QEMU calls it.
        guard: None for a port that anything may pass; an older agent knows no other.
        failover: whether it stands by for a VF of the same port.
    """

    port_id: str
    mac: str
    bridge: str
    physical_network: str
    vlan: int = 0
    link: bool = True
    mtu: int = 1500
    model: str = "virtio"
    guard: GuardWanted | None = None
    failover: bool = False


class CellWanted(Wire, frozen=True):
    """One NUMA node of a guest, numbered as listed, and where it lies on the host.

    Attributes:
        node: the host's NUMA node.
        cpus: the guest's CPUs of it.
        pins: guest's CPU and host's CPU; the others float over ``floating``, CPUs of the host.
        page_kib: size of the pages; None leaves it to the host.
    """

    node: int
    cpus: list[int]
    memory_mib: int
    pins: list[tuple[int, int]] = []
    floating: list[int] = []
    page_kib: int | None = None


class ImageWanted(Wire, frozen=True):
    """An image by its id and what its bytes must hash to (SHA-512, hexadecimal)."""

    id: str
    sha512: str
    size_bytes: int
    disk_format: str = "raw"


class ServerWanted(Wire, frozen=True):
    """One guest as it should be.

    Attributes:
        generation: grows with every change of what is wanted of this server.
        reboots: grows with every reboot that was asked for; the agent remembers what it obeyed.
        taps: its cards of a virtual switch.
        cards: ids of the ports of all its cards in the order in which the guest is to see them.
        leaving: addresses of functions that the guest, if it runs, has to let go of.
        leaving_taps: likewise ids of ports of a virtual switch.
        config_drive: path below the drive to content, already rendered; empty for no drive.
        metadata: small strings that the domain carries in its <metadata>.
        cells: its NUMA nodes; empty for a guest that floats over the whole host.
        emulator: CPUs of the host for the hypervisor's own threads; empty for any of the guest's.
        memo: what the controller would have to know of the server if it lost its database; for the
            agent a text to keep and to give back.
    """

    id: str
    name: str
    generation: int
    power: Literal["running", "stopped"]
    vcpus: int
    memory_mib: int
    disk_gib: int
    image: ImageWanted | None = None
    kernel: ImageWanted | None = None
    ramdisk: ImageWanted | None = None
    kernel_arguments: str = ""
    nics: list[NicWanted] = []
    taps: list[TapWanted] = []
    cards: list[str] = []
    devices: list[DeviceWanted] = []
    leaving: list[str] = []
    leaving_taps: list[str] = []
    config_drive: dict[str, str] = {}
    reboots: int = 0
    metadata: dict[str, str] = {}
    cells: list[CellWanted] = []
    emulator: list[int] = []
    memo: str = ""


class CleaningWanted(Wire, frozen=True):
    """One device to clean: reset its VF settings, reset the function, give the driver back."""

    device: DeviceWanted
    round: int
    pf_address: str | None = None
    vf_index: int | None = None


class DhcpSubnet(Wire, frozen=True):
    """A subnet whose guests are answered.

    Attributes:
        server: the address of whoever answers, the same on every host; empty where none was free.
        gateway: None for no way out.
        routes: each a destination and its next hop.
    """

    id: str
    cidr: str
    server: str = ""
    gateway: str | None = None
    dns: list[str] = []
    routes: list[tuple[str, str]] = []


class DhcpOption(Wire, frozen=True):
    """One option of a port beyond its subnet's: by name or number, as its owner wrote it."""

    name: str
    value: str
    ip_version: int = 4


class DhcpGuest(Wire, frozen=True):
    """One port that is answered, if it has its card on the network's bridge, or on a VF below it.

    Attributes:
        host_name: of the server.
        addresses: each with the id of its subnet.
    """

    port_id: str
    mac: str
    host_name: str = ""
    addresses: list[tuple[str, str]] = []
    options: list[DhcpOption] = []


class DhcpWanted(Wire, frozen=True):
    """A segment of a network whose guests on this host are to have DHCP from this host.

    Attributes:
        id: of the segment.
        physical_network: the one on whose bridge they are answered.
        vlan: 0 for an untagged network.
    """

    id: str
    network_id: str
    physical_network: str
    vlan: int = 0
    mtu: int = 1500
    subnets: list[DhcpSubnet] = []
    guests: list[DhcpGuest] = []


class Desired(Wire, frozen=True):
    """The whole state that a host should be in.

    Absence is never an order: a guest is stopped only because its id stands in ``absent``, a device
    cleaned only because it stands in ``cleaning``. Guests that are named nowhere stay as they are.

    Attributes:
        generation, mark: name this state; the mark is random, so a controller that was set back
            to an older database cannot be mistaken for one that knows what it ordered.
        absent: tombstones, ids of servers that must be gone.
        consoles: ids of servers whose console tail somebody is reading.
        members: prefixes of the members of each security group that a rule names.
        dhcp: all that is to be answered here; None from an older controller, which says nothing.
    """

    generation: int
    mark: str
    servers: list[ServerWanted] = []
    absent: list[str] = []
    cleaning: list[CleaningWanted] = []
    consoles: list[str] = []
    members: dict[str, list[str]] = {}
    dhcp: list[DhcpWanted] | None = None
