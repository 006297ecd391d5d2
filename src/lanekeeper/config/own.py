"""What no service of OpenStack's has: ``[lanekeeper]``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from lanekeeper.config.option import Option, Section
from lanekeeper.config.value import one_of, parse_listen, parse_name
from lanekeeper.domain.network.card import MADE
from lanekeeper.domain.pci.cleaning_hook import CleaningHook


class Own(Section, frozen=True):
    """What is Lanekeeper's alone, in ``[lanekeeper]``; an unknown key there is an error."""

    listen: Annotated[
        tuple[str, ...],
        Option(
            "lanekeeper",
            "listen",
            "Where the controller answers: HOST:PORT, http://HOST:PORT (loopback only) or "
            "https://HOST:PORT, separated by commas.",
            parse=parse_listen,
            at_start=True,
        ),
    ] = ("127.0.0.1:8774",)
    database_url_file: Annotated[
        str | None,
        Option(
            "lanekeeper",
            "database_url_file",
            "File that holds the database's URL; a SQLite file in the state directory where unset.",
            at_start=True,
        ),
    ] = None
    region: Annotated[
        str,
        Option(
            "lanekeeper",
            "region",
            "The region that the catalog names.",
            parse=parse_name,
            at_start=True,
        ),
    ] = "RegionOne"
    refuse_unschedulable: Annotated[
        bool,
        Option(
            "lanekeeper",
            "refuse_unschedulable",
            "Refuse a server that fits nowhere with 409 and the reason, instead of making one in "
            "ERROR as Nova does.",
        ),
    ] = False
    vf_security_groups: Annotated[
        str,
        Option(
            "lanekeeper",
            "vf_security_groups",
            "What becomes of a security group that is asked for, beside the project's default one, "
            "on a port that is a VF or a whole card, where nothing filters packets: refuse, warn "
            "(the log says so), or ignore, as Neutron does.",
            parse=one_of("refuse", "warn", "ignore"),
        ),
    ] = "refuse"
    default_vnic_type: Annotated[
        str,
        Option(
            "lanekeeper",
            "default_vnic_type",
            "Of which kind a port is that is made for a server that names a network, where neither "
            "its flavor (hw:vif_vnic_type) nor its image (hw_vif_vnic_type) says: normal (Open "
            "vSwitch, Neutron's default), direct (a VF), macvtap (a virtio card on a VF) or "
            "direct-physical (a whole card).",
            parse=one_of(*MADE),
        ),
    ] = "direct"
    relay_uplink: Annotated[
        bool,
        Option(
            "lanekeeper",
            "relay_uplink",
            "Have VFs of ports that propagate their uplink's status show no link while their PF "
            "has none, or LACP keeps it out of its bond, where the PF's driver can.",
            of_agent=True,
        ),
    ] = True
    uplink_down_s: Annotated[
        float,
        Meta(ge=0, le=600),
        Option(
            "lanekeeper",
            "uplink_down_s",
            "Seconds that a PF has been without link, or LACP has kept it out of its bond, before "
            "VFs of failover pairs are taken out of their guests, and other VFs have no link.",
            of_agent=True,
        ),
    ] = 2.0
    uplink_up_s: Annotated[
        float,
        Meta(ge=0, le=3600),
        Option(
            "lanekeeper",
            "uplink_up_s",
            "Seconds that such a PF has been well again before VFs come back, and have a link.",
            of_agent=True,
        ),
    ] = 10.0
    strict_device_spec: Annotated[
        bool,
        Option(
            "lanekeeper",
            "strict_device_spec",
            "Refuse every device_spec key that is not known, not only likely slips of the pen.",
        ),
    ] = False
    accept_exchanged_devices: Annotated[
        bool,
        Option(
            "lanekeeper",
            "accept_exchanged_devices",
            "Offer another device at a known address at once where the one before it was free and "
            "clean; it is set aside until `lanekeeper device clean` where unset, and always where "
            "that one was held or dirty.",
        ),
    ] = False
    token_expiration_s: Annotated[
        int,
        Meta(ge=60, le=604_800),
        Option("lanekeeper", "token_expiration_s", "Seconds until a token expires."),
    ] = 3600
    body_bytes_max: Annotated[
        int,
        Meta(ge=1024, le=64 * 2**20),
        Option(
            "lanekeeper",
            "body_bytes_max",
            "Largest JSON body that is read, in bytes; what agents and Placement's clients send "
            "has a bound of its own.",
        ),
    ] = 2**20
    image_bytes_max: Annotated[
        int,
        Meta(ge=2**20, le=2**50),
        Option("lanekeeper", "image_bytes_max", "Largest image that is taken, in bytes."),
    ] = 64 * 2**30
    cleaning_timeout_s: Annotated[
        float,
        Meta(gt=0, le=86_400),
        Option(
            "lanekeeper",
            "cleaning_timeout_s",
            "Seconds that one try to clean a device may take before it counts as failed; after "
            "four such tries it is quarantined.",
            of_agent=True,
        ),
    ] = 120.0
    cleaning_hooks: Annotated[
        tuple[CleaningHook, ...],
        Option(
            "lanekeeper",
            "cleaning_hooks",
            "A program that has to succeed before a device is clean, a JSON object: command (a "
            "list; {address} stands for the device's), vendor_id, product_id, class (its first "
            "2, 4 or 6 digits), timeout_s (60); repeatable, run in order.",
            parse=CleaningHook.parse,
            multiple=True,
            of_agent=True,
        ),
    ] = ()
    erase_nvme: Annotated[
        bool,
        Option(
            "lanekeeper",
            "erase_nvme",
            "Whether NVMe drives are erased (by Sanitize or Format, and read back) before they are "
            "clean. Without it a cleaning hook has to.",
            of_agent=True,
        ),
    ] = True
    agent_down_s: Annotated[
        float,
        Meta(ge=5, le=86_400),
        Option(
            "lanekeeper",
            "agent_down_s",
            "Seconds without a word from an agent after which its host takes no new servers.",
            also=(("DEFAULT", "agent_down_time"),),
        ),
    ] = 75.0
    device_history_kept_days: Annotated[
        int,
        Meta(ge=1, le=36_500),
        Option(
            "lanekeeper",
            "device_history_kept_days",
            "Days that it is kept who held a device and how it was cleaned (lanekeeper device "
            "history).",
        ),
    ] = 365
    device_history_kept_max: Annotated[
        int,
        Meta(ge=1000, le=100_000_000),
        Option(
            "lanekeeper",
            "device_history_kept_max",
            "How many such events of all devices are kept at most, the youngest ones.",
        ),
    ] = 1_000_000
    events_kept_days: Annotated[
        int,
        Meta(ge=1, le=36_500),
        Option(
            "lanekeeper",
            "events_kept_days",
            "Days that what was asked of a server is kept once the server is gone (openstack "
            "server event list); of one that is there all is kept.",
        ),
    ] = 90
    events_kept_max: Annotated[
        int,
        Meta(ge=1000, le=100_000_000),
        Option(
            "lanekeeper",
            "events_kept_max",
            "How many such events of servers that are gone are kept at most, the youngest ones.",
        ),
    ] = 100_000
    usage_kept_days: Annotated[
        int,
        Meta(ge=1, le=36_500),
        Option(
            "lanekeeper",
            "usage_kept_days",
            "Days that it is kept how long a server ran that is gone (openstack usage list).",
        ),
    ] = 400
    usage_kept_max: Annotated[
        int,
        Meta(ge=1000, le=100_000_000),
        Option(
            "lanekeeper",
            "usage_kept_max",
            "Of how many such servers that is kept at most, those that went last.",
        ),
    ] = 1_000_000
    metrics_token_file: Annotated[
        str,
        Option(
            "lanekeeper",
            "metrics_token_file",
            "File with the bearer token that /metrics needs away from loopback; without one it is "
            "answered on loopback only.",
            at_start=True,
        ),
    ] = ""
