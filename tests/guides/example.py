"""What guides print for operators' files and command lines, with what they promise of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from lanekeeper.domain.pci.address import PciAddress
from lanekeeper.domain.pci.device import DeviceType, PciDevice

HERE = Path(__file__).parent
GUIDES = ("nova", "rhel", "vio", "juno")


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One PCI function of the machine that a guide has in mind."""

    address: str
    ids: str
    type: DeviceType = DeviceType.PCI
    parent: str = ""
    netdev: str | None = None
    serial: str | None = None
    numa_node: int | None = None

    @property
    def function(self) -> PciDevice:
        vendor, _, product = self.ids.partition(":")
        return PciDevice(
            address=PciAddress.parse(self.address),
            vendor_id=int(vendor, 16),
            product_id=int(product, 16),
            dev_type=self.type,
            parent=PciAddress.parse(self.parent) if self.parent else None,
            vf_index=int(self.address[-1], 16) if self.parent else None,
            netdev=self.netdev,
            serial=self.serial,
            numa_node=self.numa_node,
        )


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the guide promises, in values.

    Attributes:
        warned: parts of what a start says, in its order; all of it.
        findings: what the doctor has to say, by id, without those that only inform.
        options: values of options, as ``[section] key``.
        lists: devices that each entry lists, in the order of the entries.
        tags: of each entry.
        alias: devices that a flavor gets by that name, all entries counted.
        numa: numa_policy of each alias.
        networks: devices by the physical network of their ports.
    """

    warned: list[str] = []
    findings: list[str] = []
    options: dict[str, Any] = {}
    lists: list[list[str]] = []
    tags: list[dict[str, str]] = []
    alias: dict[str, list[str]] = {}
    numa: dict[str, str] = {}
    networks: dict[str, list[str]] = {}


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a guide prints.

    Attributes:
        place: where in the guide.
        text: as it is printed.
        promise: what the guide says of it.
        here: what it comes to here.
        file: the name of the file that it goes into; empty for commands and what else is none.
        around: what a fragment goes into; ``{}`` is its place.
        before: ids of the examples that the guide's reader has in the files already.
        with_lines: what the example takes for granted and does not print.
        refused: part of what a start says as it refuses the text.
        lines: of today, which the refusal names and ``config convert`` writes.
        values: what the reader puts for the guide's placeholders.
        expected: of the text, once it can be read.
        test: what proves it where the table does not: a test of this repository.
    """

    id: str
    place: str
    text: str
    promise: str
    here: str
    file: str = ""
    around: str = "{}"
    before: list[str] = []
    with_lines: str = ""
    refused: str = ""
    lines: list[str] = []
    values: dict[str, str] = {}
    expected: Expected = Expected()
    test: str = ""

    @property
    def content(self) -> str:
        """The text as it is pasted."""
        return self.around.replace("{}", self.text.strip("\n"), 1).rstrip("\n") + "\n"

    @property
    def filled(self) -> str:
        """The text with the reader's own values."""
        content = self.content
        for placeholder, value in self.values.items():
            assert placeholder in content
            content = content.replace(placeholder, value)
        return content


class Guide(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One document."""

    title: str
    about: str
    example: list[Example]
    device: list[Device] = []

    def named(self, example_id: str) -> Example:
        return next(one for one in self.example if one.id == example_id)


def read_guide(name: str) -> Guide:
    """Read the examples of one guide, ``NAME.toml``."""
    document = tomllib.loads((HERE / f"{name}.toml").read_text())
    return msgspec.convert(document, Guide)
