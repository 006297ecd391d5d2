"""Each example of the guides for a file, pasted as it is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from guides.example import GUIDES, Device, Example, Expected, Guide, read_guide
from lanekeeper.cli.config import write_new
from lanekeeper.config import Config, load
from lanekeeper.config.doctor.convert import convert
from lanekeeper.config.doctor.examine import examine
from lanekeeper.config.load import Loaded
from lanekeeper.config.names import options
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.hostplan.findings.finding import Severity
from lanekeeper.domain.pci.coverage import cover

BOOKS = {name: read_guide(name) for name in GUIDES}
ALL = [
    pytest.param(guide, one, id=f"{name}-{one.id}")
    for name, guide in BOOKS.items()
    for one in guide.example
    if one.file
]


def before(guide: Guide, one: Example) -> str:
    """What the reader has in the file already, in today's form."""
    earlier = [guide.named(name) for name in one.before]
    lines = (["[pci]", *each.lines, ""] if each.lines else [each.content] for each in earlier)
    return "".join("\n".join(some) for some in lines) + one.with_lines.lstrip("\n")


def written(content: str, directory: Path, name: str) -> Path:
    """Write a file; of a command that sets one key in it, what the command writes."""
    _, _, rest = content.partition(" --set ")
    if rest:
        _, section, key, value = rest.split()
        content = f"[{section}]\n{key} = {value}\n"
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(content)
    return path


@pytest.mark.parametrize(("guide", "one"), ALL)
def test_an_example_as_it_is_printed(guide: Guide, one: Example, tmp_path: Path) -> None:
    if one.refused:
        path = written(before(guide, one) + one.content, tmp_path / "printed", one.file)
        hint = refused(path, one.refused)
        examined = examine([path])
        assert examined.has(Severity.ERROR)
        if one.lines:
            assert f": {one.lines[0]}" in hint
            new = convert(examined.case)
            text = "".join(new.files.values())
            assert all(f"\n{line}\n" in text for line in one.lines)
            assert "# mended: " in text
            assert new.left == ()
            paths = write_new(new.files, tmp_path / "new")
            today = msgspec.structs.replace(one.expected, warned=[])
            check(guide, today, load(paths), findings(paths))
            return
        if not one.values:
            return
    path = written(before(guide, one) + one.filled, tmp_path / "filled", one.file)
    check(guide, one.expected, load([path]), findings([path]))
    new_files = convert(examine([path]).case)
    if not new_files.left and new_files.files:
        again = load(write_new(new_files.files, tmp_path / "new"))
        assert again.config == load([path]).config


def refused(path: Path, part: str) -> str:
    with pytest.raises(Invalid) as caught:
        load([path])
    assert part in str(caught.value)
    return caught.value.hint


def findings(paths: Sequence[Path]) -> tuple[str, ...]:
    found = examine(paths).findings
    return tuple(one.id for one in found if one.severity is not Severity.INFO)


def check(guide: Guide, expected: Expected, loaded: Loaded, found: Sequence[str]) -> None:
    assert len(loaded.warnings) == len(expected.warned), loaded.warnings
    for said, part in zip(loaded.warnings, expected.warned, strict=True):
        assert part in said
    assert list(found) == expected.findings
    for option, value in expected.options.items():
        assert plain(value_of(loaded.config, option)) == value
    check_devices(guide.device, expected, loaded.config)


def check_devices(devices: Sequence[Device], expected: Expected, config: Config) -> None:
    pci = config.pci
    covered = cover(pci.device_spec, pci.alias, [one.function for one in devices])
    assert covered.clashes == ()
    lists = [[str(device.address) for device in entry.takes] for entry in covered.entries]
    assert lists == expected.lists
    if expected.tags:
        assert [dict(spec.tags) for spec in pci.device_spec] == expected.tags
    by_name = {
        name: [str(device.address) for device in one.devices]
        for name, one in covered.aliases.items()
    }
    assert by_name == expected.alias
    if expected.numa:
        assert {one.name: str(one.numa_policy) for one in pci.alias} == expected.numa
    networks = {
        name: [str(device.address) for device in some] for name, some in covered.networks.items()
    }
    assert networks == expected.networks


def value_of(config: Config, name: str) -> Any:
    part, field = next(place for place, option in options().items() if option.name == name)
    return getattr(getattr(config, part), field)


def plain(value: Any) -> Any:
    """The value as a data file can have it."""

    def text(one: Any) -> str:
        return str(one)

    built = msgspec.to_builtins(
        {key: sorted(map(str, some)) for key, some in value.items()}
        if isinstance(value, dict)
        else value,
        enc_hook=text,
    )
    return list(built) if isinstance(built, tuple) else built


RHEL_ROWS = [
    ('"vendor_id": "*", "product_id": "10ca"', ["05:10.0", "05:10.1", "05:10.3"]),
    ('"vendor_id": "8086", "product_id": "10ac"', ["0a:00.0"]),
    ('"address": "0000:05:10.1"', ["05:10.1"]),
    ('"address": "05:10.1"', ["05:10.1"]),
    ('"address": "10.1"', ["05:10.1"]),
    ('"address": "10"', ["05:10.0", "05:10.1", "05:10.3"]),
    ('"address": ".1"', ["05:00.1", "05:10.1"]),
    ('"address": "0a:"', ["0a:00.0"]),
    ('"address": "0000:05:00.1"', ["05:00.1", "05:10.1", "05:10.3"]),
    ('"devname": "enp5s0f1"', ["05:00.1", "05:10.1", "05:10.3"]),
]


@pytest.mark.parametrize(("entry", "listed"), RHEL_ROWS)
def test_each_form_of_the_chapters_syntax(entry: str, listed: list[str], tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    path.write_text(f'pci_passthrough_whitelist={{{entry}, "physical_network":"physnet1"}}\n')
    config = load([path]).config
    covered = cover(config.pci.device_spec, (), [one.function for one in BOOKS["rhel"].device])
    assert [str(one.address) for one in covered.networks["physnet1"]] == [
        f"0000:{address}" for address in listed
    ]


def test_the_chapters_device_id_is_refused_with_what_it_may_mean(tmp_path: Path) -> None:
    path = tmp_path / "nova.conf"
    path.write_text('pci_passthrough_whitelist={"device_id": "8086", "product_id": "10ca"}\n')
    hint = refused(path, "device_spec has no key 'device_id'")
    assert hint == "the vendor's number is 'vendor_id', the device's is 'product_id'"


def test_every_example_is_proved_by_the_table_or_by_a_test_that_is_there() -> None:
    root = Path(__file__).parents[2]
    for one in _examples():
        assert bool(one.file) or one.test, one.id
        if one.test:
            file, _, name = one.test.partition("::")
            assert f"\ndef {name}(" in (root / file).read_text()


def _examples() -> Iterator[Example]:
    for guide in BOOKS.values():
        yield from guide.example
