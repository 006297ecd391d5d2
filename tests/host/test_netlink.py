import errno
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from lanekeeper.domain.errors import HostFault, NotFound
from lanekeeper.domain.pci.vf_change import AT_REST, VfChange
from lanekeeper.domain.pci.vf_settings import NO_MAC, LinkState, VfSettings
from lanekeeper.host.netlink import VfLinks

LABEL = "0000:21:00.0 (ens1)"
DONE = 0


class Kernel:
    """Answers requests from a list and keeps what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.asked: list[bytes] = []
        self._answers = list(answers)

    def __call__(self, request: bytes) -> bytes:
        self.asked.append(request)
        return self._answers.pop(0)


def acknowledged(code: int, text: str = "") -> bytes:
    """Build an NLMSG_ERROR that carries *code* and, as an extended ACK, *text*."""
    request = struct.pack("=IHHII", 16, 19, 5, 1, 0)
    body = struct.pack("=i", -code) + request
    flags = 0x100  # NLM_F_CAPPED
    if text:
        data = text.encode() + b"\0"
        body += struct.pack("=HH", 4 + len(data), 1) + data + bytes(-len(data) % 4)
        flags |= 0x200  # NLM_F_ACK_TLVS
    return struct.pack("=IHHII", 16 + len(body), 2, flags, 1, 0) + body


def vf_attributes(index: int, **changed: Any) -> dict[str, Any]:
    values = {
        "mac": NO_MAC,
        "vlan": 0,
        "qos": 0,
        "spoofchk": 1,
        "link_state": 0,
        "trust": 0,
        "min_tx_rate": 0,
        "max_tx_rate": 0,
    } | changed
    vf = {"vf": index}
    rate = {name: values[name] for name in ("min_tx_rate", "max_tx_rate")}
    one = ("mac", "spoofchk", "link_state", "trust")
    singles = [(f"IFLA_VF_{name.upper()}", vf | {name: values[name]}) for name in one]
    vlan = vf | {"vlan": values["vlan"], "qos": values["qos"]}
    return {"attrs": [*singles, ("IFLA_VF_VLAN", vlan), ("IFLA_VF_RATE", vf | rate)]}


def link(*vfs: dict[str, Any], announced: int | None = None) -> bytes:
    message = ifinfmsg()
    message["header"]["type"] = 16
    message["index"] = 7
    infos = [("IFLA_VF_INFO", vf) for vf in vfs]
    count = len(vfs) if announced is None else announced
    message["attrs"] = [("IFLA_NUM_VF", count), ("IFLA_VFINFO_LIST", {"attrs": infos})]
    message.encode()
    return bytes(message.data)


def test_mac_and_mtu_are_given_to_an_interface() -> None:
    kernel = Kernel(acknowledged(DONE), acknowledged(DONE))
    VfLinks(kernel).set_address(7, LABEL, "fa:16:3e:00:00:05", 9000)
    said = [ifinfmsg(request) for request in kernel.asked]
    for one in said:
        one.decode()
        assert one["index"] == 7
    assert said[0].get_attr("IFLA_ADDRESS") == "fa:16:3e:00:00:05"
    assert said[1].get_attr("IFLA_MTU") == 9000


def test_a_mac_that_is_refused_is_named_with_the_kernels_reason() -> None:
    kernel = Kernel(acknowledged(errno.EADDRNOTAVAIL))
    with pytest.raises(HostFault, match=r"cannot set MAC 02:.* on .*ens1.*: Cannot assign req"):
        VfLinks(kernel).set_address(7, LABEL, "02:00:00:00:00:01", 1500)


def test_settings_are_read_by_index() -> None:
    answer = link(
        vf_attributes(0),
        vf_attributes(
            1,
            mac="fa:16:3e:00:00:05",
            vlan=15,
            qos=3,
            spoofchk=0,
            link_state=2,
            trust=1,
            min_tx_rate=10,
            max_tx_rate=20,
        ),
    )
    assert VfLinks(Kernel(answer)).read(7, LABEL) == {
        0: VfSettings(),
        1: VfSettings(
            mac="fa:16:3e:00:00:05",
            vlan=15,
            qos=3,
            spoofchk=False,
            link_state=LinkState.DISABLE,
            trust=True,
            min_tx_rate=10,
            max_tx_rate=20,
        ),
    }


def test_what_a_driver_does_not_know_is_none() -> None:
    answer = link(vf_attributes(0, spoofchk=0xFFFF_FFFF, trust=0xFFFF_FFFF))
    settings = VfLinks(Kernel(answer)).read(7, LABEL)[0]
    assert (settings.spoofchk, settings.trust) == (None, None)


def test_256_vfs_are_read_in_one_question() -> None:
    kernel = Kernel(link(*(vf_attributes(n, vlan=n + 1) for n in range(256))))
    found = VfLinks(kernel).read(7, LABEL)
    assert [found[n].vlan for n in range(256)] == list(range(1, 257))
    assert len(kernel.asked) == 1


def test_the_question_declines_the_counters() -> None:
    kernel = Kernel(link())
    VfLinks(kernel).read(7, LABEL)
    assert kernel.asked[0].endswith(struct.pack("=HHI", 8, 29, 1 | 8))


def test_an_answer_that_leaves_vfs_out_is_a_fault() -> None:
    answer = link(vf_attributes(0), announced=300)
    with pytest.raises(HostFault, match=r"0000:21:00.0 \(ens1\) has 1 VFs of 300"):
        VfLinks(Kernel(answer)).read(7, LABEL)


@pytest.mark.parametrize("lacks", ["IFLA_VF_MAC", None])
def test_an_answer_that_makes_no_sense_is_a_fault(lacks: str | None) -> None:
    vf = vf_attributes(0, link_state=0 if lacks else 9)
    vf["attrs"] = [one for one in vf["attrs"] if one[0] != lacks]
    with pytest.raises(HostFault, match=r"about 0000:21:00.0 \(ens1\) makes no sense"):
        VfLinks(Kernel(link(vf))).read(7, LABEL)


@pytest.mark.parametrize("cut", [1, 2, 7, 30, 41])
def test_an_answer_that_is_cut_off_is_a_fault(cut: int) -> None:
    answer = link(vf_attributes(0), vf_attributes(1))[:-cut]
    with pytest.raises(HostFault, match=r"about 0000:21:00\.0"):
        VfLinks(Kernel(answer)).read(7, LABEL)


def test_a_pf_without_vfs_has_no_settings() -> None:
    assert VfLinks(Kernel(link())).read(7, LABEL) == {}


VECTORS = Path(__file__).parent / "vf_messages.json"
CHANGES = {
    "state-auto": VfChange(link_state=LinkState.AUTO),
    "state-enable": VfChange(link_state=LinkState.ENABLE),
    "spoof-on": VfChange(spoofchk=True),
    "rate-both": VfChange(rates=(10, 20)),
    "rate-max-only": VfChange(rates=(0, 20)),
    "mac": VfChange(mac="fa:16:3e:00:00:05"),
    "vlan-clear": VfChange(vlan=0),
    "trust-on": VfChange(trust=True),
    "trust-off": VfChange(trust=False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_the_message_that_iproute2_sends(name: str) -> None:
    kernel = Kernel(acknowledged(DONE))
    expected = bytes.fromhex(json.loads(VECTORS.read_text())[name])
    assert VfLinks(kernel).write(7, LABEL, 3, CHANGES[name]) == ()
    # All but the flags and the sequence number of the header.
    assert kernel.asked[0][:6] == expected[:6]
    assert kernel.asked[0][16:] == expected[16:]


def test_settings_are_written_one_by_one_in_order() -> None:
    kernel = Kernel(*[acknowledged(DONE)] * 6)
    VfLinks(kernel).write(7, LABEL, 0, AT_REST)
    assert len(kernel.asked) == 6


def test_what_the_driver_does_not_know_is_returned_and_the_rest_written() -> None:
    answers = [acknowledged(DONE), acknowledged(errno.EOPNOTSUPP), acknowledged(DONE)]
    change = VfChange(vlan=15, link_state=LinkState.ENABLE, trust=True)
    assert VfLinks(Kernel(*answers)).write(7, LABEL, 0, change) == ("link_state",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (VfChange(mac="fa:16:3e:00:00:05"), "MAC fa:16:3e:00:00:05"),
        (VfChange(vlan=15, qos=3), "VLAN 15 with priority 3"),
        (VfChange(spoofchk=False), "spoof check off"),
        (VfChange(link_state=LinkState.DISABLE), "link state disable"),
        (VfChange(trust=True), "trust on"),
        (VfChange(rates=(10, 20)), "transmit rates 10 to 20 Mbit/s"),
    ],
)
def test_a_refusal_names_pf_vf_and_what_was_asked(change: VfChange, said: str) -> None:
    kernel = Kernel(acknowledged(errno.EINVAL))
    with pytest.raises(HostFault) as caught:
        VfLinks(kernel).write(7, LABEL, 3, change)
    assert str(caught.value) == f"cannot set {said} on VF 3 of {LABEL}: Invalid argument"


def test_the_kernels_own_sentence_is_passed_on() -> None:
    kernel = Kernel(acknowledged(errno.EPERM, "VF is in reset"))
    with pytest.raises(HostFault, match=r"Operation not permitted \(VF is in reset\)"):
        VfLinks(kernel).set_up(7, LABEL, up=True)


def test_an_interface_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound, match=r"cannot read the VFs of .*No such device"):
        VfLinks(Kernel(acknowledged(errno.ENODEV))).read(7, LABEL)


@pytest.mark.parametrize("up", [True, False])
def test_the_link_is_set_by_one_flag_alone(up: bool) -> None:
    kernel = Kernel(acknowledged(DONE))
    VfLinks(kernel).set_up(7, LABEL, up=up)
    flags, change = struct.unpack_from("=II", kernel.asked[0], 16 + 8)
    assert (flags, change) == (int(up), 1)


def test_silence_is_a_fault() -> None:
    def silent(_request: bytes) -> bytes:
        raise TimeoutError("timed out")

    with pytest.raises(HostFault, match="netlink gives no answer: timed out"):
        VfLinks(silent).read(7, LABEL)


def test_this_kernel_answers_about_loopback() -> None:
    links = VfLinks()
    assert links.read(1, "lo") == {}
    with pytest.raises(NotFound, match="No such device"):
        links.read(2**30, "nothing")
    assert links.write(1, "lo", 0, VfChange(trust=True, mac=NO_MAC)) == ("mac", "trust")
