from dataclasses import replace

from agent.orders_of import POLICY, cleaning, nic, server, vf
from lanekeeper.agent.observe import View, view
from lanekeeper.agent.policy import Policy
from lanekeeper.agent.withdrawn import withdrawn
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.scan import Scan
from lanekeeper.protocol import Desired


def card(bus: str) -> list[PciDevice]:
    pf = PciDevice(
        address=PciAddress.parse(f"0000:{bus}:00.0"),
        vendor_id=0x8086,
        product_id=0x10C9,
        dev_type=DeviceType.PF,
        total_vfs=7,
        num_vfs=7,
    )
    return [
        pf,
        *(
            replace(
                pf,
                address=PciAddress.parse(vf(index, bus=bus).address),
                product_id=0x10CA,
                dev_type=DeviceType.VF,
                total_vfs=0,
                num_vfs=0,
                parent=pf.address,
                vf_index=index,
            )
            for index in range(7)
        ),
    ]


def seen(policy: Policy, *cards: str) -> View:
    devices = tuple(one for bus in cards for one in card(bus))
    return view(Scan(devices=devices, faults=()), policy, frozenset())


def test_what_an_emptied_configuration_offers_no_more_is_told_with_its_holders() -> None:
    before, after = seen(POLICY, "21", "41"), seen(Policy(), "21", "41")
    desired = Desired(
        generation=1,
        mark="a",
        servers=[server(1, name="web", nics=[nic(3)]), server(2, name="db", devices=[vf(0)])],
        cleaning=[cleaning(vf(1, bus="41"))],
    )
    told = str(withdrawn(before, after, desired))
    assert told == (
        "14 devices that were offered are offered no more: 0000:21:10.0, 0000:21:10.2, "
        "0000:21:10.4, 0000:21:10.6, 0000:21:11.0 and 9 more; held, and kept until the guest gives "
        "it back, then not cleaned before an entry lists it again: 0000:21:10.0 by db, "
        "0000:21:10.6 by web; not clean, and nobody's before an "
        "entry lists it again: 0000:41:10.2"
    )
    assert str(withdrawn(before, after, None)).endswith("and 9 more")


def test_nothing_is_told_of_what_is_offered_still_or_has_left_the_bus() -> None:
    before = seen(POLICY, "21", "41")
    assert withdrawn(before, seen(POLICY, "21", "41"), None) is None
    assert withdrawn(before, seen(Policy()), None) is None
    less = Policy(specs=POLICY.specs[:1])
    told = withdrawn(before, seen(less, "21", "41"), None)
    assert told is not None
    assert {one.bus for one in told.addresses} == {0x41}
