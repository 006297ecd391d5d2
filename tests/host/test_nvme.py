"""What is asked of ``nvme``, and what is believed: a drive that is a file, and its answers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random

import pytest

from lanekeeper.domain.errors import Error, HostFault, Invalid
from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice
from lanekeeper.host.nvme import NvmeEraser

PF = PciDevice(
    address=PciAddress.parse("0000:22:00.0"), vendor_id=0x1B36, product_id=0x0010,
    class_code=0x010802, dev_type=DeviceType.PF, total_vfs=4,
)  # fmt: skip
VF = PciDevice(
    address=PciAddress.parse("0000:22:00.1"), vendor_id=0x1B36, product_id=0x0010,
    class_code=0x010802, dev_type=DeviceType.VF, parent=PF.address, vf_index=0,
)  # fmt: skip
BLOCK, BLOCKS = 4096, 100


class Drive:
    """A drive of one namespace, told by files as the kernel tells it and by answers as nvme does.

    *does* is what an erasing comes to: what then stands in each block.
    """

    def __init__(self, root: Path, device: PciDevice = PF) -> None:
        self.root, self.device = root, device
        self.oacs, self.fna, self.sanicap, self.cntlid = 0b10, 0, 0, 0
        self.attached, self.allocated, self.controllers = [1], [1], [0]
        self.secondary_online = True
        self.leaves: bytes | None = bytes(BLOCK)
        self.asked: list[str] = []
        self.bound: list[str | None] = []
        self.sanitize_states = [1]
        for address in {str(device.address), str(PF.address)}:
            home = root / "sys/bus/pci/devices" / address / "nvme/nvme0"
            home.mkdir(parents=True)
            (home / "state").write_text("live\n")
        shown = root / "sys/class/nvme/nvme0/nvme0c0n1"  # with multipath; the drive is nvme0n1
        shown.mkdir(parents=True)
        (shown / "nsid").write_text("1\n")
        self.file = root / "dev/nvme0n1"
        self.file.parent.mkdir(parents=True)
        self.file.write_bytes(Random(1).randbytes(BLOCK * BLOCKS))

    def erase(self) -> list[str]:
        eraser = NvmeEraser(
            self.run, lambda _, driver: self.bound.append(driver), self.root,
            random=Random(2), sleep=lambda _: None,
        )  # fmt: skip
        return list(eraser.erase(self.device, lambda: 60.0))

    def run(self, words: Sequence[str], environment: Mapping[str, str], limit_s: float) -> bytes:
        assert 0 < limit_s <= 60
        assert set(environment) == {"PATH", "LC_ALL"}
        self.asked.append(" ".join(words[1:]))
        if words[1] in ("format", "sanitize"):
            if self.leaves is not None:
                self.file.write_bytes(self.leaves * BLOCKS)
            return b""
        if words[1] == "sanitize-log":
            return self._log()
        entry = bytes(4) + bytes([self.secondary_online, 0, 0, 0, 1])  # of the first VF
        return {
            "id-ctrl": self._controller(),
            "id-ns": self._namespace(),
            "list-ns": _listed(self.allocated if "--all" in words else self.attached),
            "list-ctrl": _listed(self.controllers),
            "list-secondary": (bytes([1]).ljust(32, b"\0") + entry).ljust(4096, b"\0"),
        }[words[1]]

    def _log(self) -> bytes:
        if not self.sanicap:
            raise HostFault("invalid field")
        first, *later = self.sanitize_states
        self.sanitize_states = later or [first]
        return bytes([0, 0, first]).ljust(512, b"\0")

    def _controller(self) -> bytes:
        data = bytearray(4096)
        data[78], data[256], data[524], data[328] = self.cntlid, self.oacs, self.fna, self.sanicap
        return bytes(data)

    def _namespace(self) -> bytes:
        data = bytearray(4096)
        data[0:8] = BLOCKS.to_bytes(8, "little")
        data[26], data[128 + 4 + 2] = 1, 12  # the second format has blocks of 4096 bytes
        return bytes(data)

    @property
    def erasing(self) -> list[str]:
        return [one for one in self.asked if re.match(r"(format|sanitize) ", one)]


def _listed(ids: Sequence[int]) -> bytes:
    return "".join(f"[{n:4}]:{one:#x}\n" for n, one in enumerate(ids)).encode()


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path)


def test_a_drive_is_formatted_and_read_back(drive: Drive) -> None:
    assert drive.erase() == [
        "nvme format (user data erase): namespace 1",
        "nvme read back: 64 blocks hold nothing of what they held",
    ]
    assert drive.bound == ["nvme"]
    assert drive.erasing == ["format /dev/nvme0 --namespace-id=1 --ses=1 --timeout=60000 --force"]
    assert drive.erase()[-1].startswith("nvme read back")  # again does no harm


@pytest.mark.parametrize(
    ("sanicap", "fna", "leaves", "asked"),
    [
        (0b110, 0, b"\0", "sanitize /dev/nvme0 --sanact=2"),
        (0b001, 0, b"x", "sanitize /dev/nvme0 --sanact=4"),
        (0b100, 0, b"\xff", "format /dev/nvme0 --namespace-id=1 --ses=1"),  # overwriting is slow
        (0, 0b100, b"x", "format /dev/nvme0 --namespace-id=1 --ses=2"),
    ],
)
def test_what_the_drive_says_of_itself_decides_how(
    drive: Drive, sanicap: int, fna: int, leaves: bytes, asked: str
) -> None:
    drive.sanicap, drive.fna, drive.leaves = sanicap, fna, leaves * BLOCK
    drive.erase()
    assert [one[: len(asked)] for one in drive.erasing] == [asked]


@pytest.mark.parametrize(
    ("fna", "leaves"),
    [(0, None), (0b100, None), (0, b"x" * BLOCK)],
    ids=["nothing happened", "the key is the old one", "neither zeros nor ones"],
)
def test_a_drive_that_is_not_erased_after_all_is_not_clean(
    drive: Drive, fna: int, leaves: bytes | None
) -> None:
    drive.fna, drive.leaves = fna, leaves
    with pytest.raises(HostFault, match="64 of 64 blocks of namespace 1 are not erased"):
        drive.erase()


def test_one_block_that_is_left_is_found(drive: Drive) -> None:
    class Forgetful(Drive):
        def run(self, words: Sequence[str], *others: object) -> bytes:
            said = super().run(words, *others)  # type: ignore[arg-type]
            if words[1] == "format":
                self.file.write_bytes(bytes(BLOCK * (BLOCKS - 1)) + b"secret".ljust(BLOCK))
            return said

    forgetful = Forgetful(drive.root / "another")
    with pytest.raises(HostFault, match="the first of them block 99"):
        forgetful.erase()


def test_a_sanitize_is_waited_for_also_one_from_before(drive: Drive) -> None:
    drive.sanicap, drive.sanitize_states = 0b10, [2, 2, 1, 2, 1]
    drive.erase()
    assert len(drive.sanitize_states) == 1
    drive.sanitize_states = [1, 3]
    with pytest.raises(HostFault, match="Sanitize of /dev/nvme0 failed"):
        drive.erase()


def test_a_vf_erases_what_is_its_own_alone(tmp_path: Path) -> None:
    drive = Drive(tmp_path, VF)
    drive.cntlid, drive.controllers, drive.sanicap = 1, [1], 0b11
    assert drive.erase()[0] == "nvme format (user data erase): namespace 1"  # spares the others
    for fna in (0b01, 0b10):
        drive.fna = fna
        with pytest.raises(Invalid, match="erases all namespaces of the drive"):
            drive.erase()
    drive.fna, drive.controllers = 0, [0, 1]
    with pytest.raises(HostFault, match="namespace 1 is shared with controller 0"):
        drive.erase()
    assert len(drive.erasing) == 1


def test_a_vf_without_means_holds_nothing(tmp_path: Path) -> None:
    drive = Drive(tmp_path, VF)
    drive.secondary_online = False
    assert drive.erase() == ["nvme: its controller is offline, so nobody can have written with it"]
    assert drive.bound == []


@pytest.mark.parametrize(
    ("attached", "reads_back"), [([1], True), ([], False)], ids=["some", "all"]
)
def test_what_was_in_namespaces_that_a_guest_deleted_is_sanitized(
    drive: Drive, attached: list[int], reads_back: bool
) -> None:
    drive.oacs, drive.sanicap = 0b1010, 0b10
    drive.attached = drive.allocated = attached
    if reads_back:
        assert drive.erase()[-1].startswith("nvme read back")
    else:
        with pytest.raises(HostFault, match="it has no namespace any more") as caught:
            drive.erase()
        assert caught.value.hint.startswith("nvme create-ns /dev/nvme0 ")
        assert "nvme attach-ns /dev/nvme0 --namespace-id=1 --controllers=0" in caught.value.hint
    assert drive.erasing == ["sanitize /dev/nvme0 --sanact=2"]
    assert drive.file.read_bytes() == bytes(BLOCK * BLOCKS)


def test_a_drive_whose_namespaces_are_gone_and_that_knows_no_sanitize_is_not_clean(
    drive: Drive,
) -> None:
    drive.oacs, drive.attached, drive.allocated = 0b1010, [], []
    with pytest.raises(HostFault, match="it has no namespace any more"):
        drive.erase()
    assert drive.erasing == []


def test_a_drive_that_never_has_namespaces_is_sanitized_where_it_can_be(drive: Drive) -> None:
    drive.attached = drive.allocated = []
    (said,) = drive.erase()
    assert said.endswith("no namespace, and none can be deleted: there is nothing to erase")
    drive.sanicap = 0b10
    assert drive.erase() == ["nvme sanitize (block erase): the whole drive, by its log"]


@pytest.mark.parametrize(("states", "reason"), [([1, 3], "failed"), ([0], "says status 0")])
def test_a_sanitize_with_nothing_to_read_back_is_believed_by_its_log_alone(
    drive: Drive, states: list[int], reason: str
) -> None:
    drive.attached = drive.allocated = []
    drive.sanicap, drive.sanitize_states = 0b10, states
    with pytest.raises(HostFault, match=reason):
        drive.erase()


def test_a_vf_without_namespaces_holds_nothing(tmp_path: Path) -> None:
    drive = Drive(tmp_path, VF)
    drive.oacs, drive.sanicap, drive.attached = 0b1010, 0b10, []
    assert drive.erase() == [
        "nvme /dev/nvme0: a VF without namespaces, so there is nothing to erase"
    ]
    assert drive.erasing == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"allocated": [1, 2]}, "namespace 2 is attached to another controller, or to none"),
        ({"oacs": 0}, "it knows neither Format nor a Sanitize"),
    ],
)
def test_what_cannot_be_erased_whole_is_refused(
    drive: Drive, change: dict[str, object], reason: str
) -> None:
    for name, value in change.items():
        setattr(drive, name, value)
    with pytest.raises(Error, match=reason):
        drive.erase()
    assert drive.erasing == []


def test_what_the_host_has_mounted_is_not_erased(drive: Drive) -> None:
    home = drive.root / "sys/devices/pci0000:20/0000:20:01.0/0000:22:00.0/nvme/nvme0/nvme0n1"
    home.mkdir(parents=True)
    block = drive.root / "sys/class/block"
    block.mkdir()
    (block / "nvme0n1").symlink_to(home)
    (drive.root / "proc/self").mkdir(parents=True)
    (drive.root / "proc/self/mounts").write_text("/dev/nvme0n1 /srv ext4 rw 0 0\n")
    with pytest.raises(HostFault, match=r"the host has /srv on 0000:22:00\.0"):
        drive.erase()
    assert drive.bound == []


def test_a_host_without_nvme_cli_says_what_to_install(drive: Drive) -> None:
    def run(words: Sequence[str], *_: object) -> bytes:
        raise HostFault(f"{words[0]} could not be started: No such file or directory")

    eraser = NvmeEraser(run, lambda *_: None, drive.root)
    with pytest.raises(HostFault, match="nvme id-ctrl") as caught:
        list(eraser.erase(PF, lambda: 1.0))
    assert caught.value.hint == "install nvme-cli"


def test_ended_between_any_two_steps_it_is_erased_the_next_time(tmp_path: Path) -> None:
    class Ended(BaseException):
        """The process is gone."""

    class Mortal(Drive):
        lives = -1

        def run(self, *told: object) -> bytes:
            if self.lives == len(self.asked):
                raise Ended
            return super().run(*told)  # type: ignore[arg-type]

    questions = len(_asked_by(Drive(tmp_path / "whole")))
    for lives in range(questions):
        mortal = Mortal(tmp_path / str(lives))
        mortal.lives = lives
        with pytest.raises(Ended):
            mortal.erase()
        mortal.lives = -1
        assert mortal.erase()[-1].startswith("nvme read back")
        assert mortal.file.read_bytes() == bytes(BLOCK * BLOCKS)


def _asked_by(drive: Drive) -> list[str]:
    drive.erase()
    return drive.asked
