"""Write docs/reference/configuration.md and packaging/nova.conf.sample from the tree's types.

python scripts/config_reference.py           write both
python scripts/config_reference.py --check   exit 1 when one of them is stale
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args, get_type_hints

import msgspec

from lanekeeper.config import Config
from lanekeeper.config.change import AGENT, CONTROLLER, PLACEMENT, is_read_at_start
from lanekeeper.config.names import GONE, MOVED, bounds_in_words, options, sections
from lanekeeper.config.option import Option
from lanekeeper.domain.topology.cpu_set import format_cpu_set

ROOT = Path(__file__).parent.parent

_HEAD = """# Configuration

Lanekeeper reads the files that OpenStack operators have: `nova.conf`, `ml2_conf.ini`,
`sriov_agent.ini`, and VMware Integrated OpenStack's `custom.yml`. Give each with `--config-file`;
later values win, repeatable keys add up. Without any, the shipped sample applies
(`src/lanekeeper/data/nova.sample.conf`). All keys with their defaults stand in
`packaging/nova.conf.sample`; what follows is made from the same source by
`scripts/config_reference.py`.

* A wrong value refuses the start (exit code 2) and names file, line, section and key.
* A key that is neither Lanekeeper's nor OpenStack's gets a warning that names the nearest one;
  in `[lanekeeper]` and `[health]` it is an error.
* SIGHUP (`systemctl reload`) has a running program read its files again, the policy file too. Of
  what is wrong the log tells, with file and line, and all stays as it was. No request and no guest
  is interrupted. In the tables below, `live` says which programs go on with a new value (`up` is
  controller and agent in one); a key with `restart` stays as it was, and is named in the log.
* A device that a guest holds and that a new `device_spec` covers no more stays the guest's, who
  runs on and can be deleted. It shows as missing, and nobody else gets it: the agent does not touch
  what is not listed, so it is cleaned, and free, only after it was listed again.
* OpenStack's other keys are passed over in silence.
* `$name` and `${name}` stand for another key's value, of the same section or `[DEFAULT]`.
* Of a `custom.yml`, `nova_pci_alias` and `nova_pci_passthrough_whitelist` are read.

How `device_spec` and `alias` are written: [device_spec and alias](device_spec.md).
"""

_TITLES = {
    "pci": "PCI devices",
    "sriov_nic": "Network interfaces",
    "ml2": "Networks",
    "image_cache": "Images on hosts",
    "lanekeeper": "Lanekeeper's own",
    "placement": "Placement alone",
    "health": "Health of devices",
    "keystone": "An outside Keystone",
    "cors": "Browsers of other sites",
}


def reference() -> str:
    """Return the reference page."""
    parts = [_HEAD]
    for part, section in sections().items():
        parts += [f"\n## {_title(part)}\n\n{(section.__doc__ or '').strip()}\n"]
        parts += ["\n| key | default | SIGHUP | meaning |\n| --- | --- | --- | --- |\n"]
        for name, option in _options_of(part):
            cells = (f"`{option.name}`", _shown(part, name), taken(part, name))
            parts.append(f"| {' | '.join(cells)} | {_meaning(part, name)} |\n")
    parts.append("\n## Keys that are gone\n\n")
    for (section_name, key), why in GONE.items():
        parts.append(f"* `[{_cased(section_name)}] {key}`: {why}.\n")
    for (section_name, key), (name, why) in MOVED.items():
        parts.append(f"* `[{_cased(section_name)}] {key}`: `{name}` today. Not read: {why}.\n")
    return "".join(parts)


def taken(part: str, name: str) -> str:
    """Say which running programs take a new value over, or that none does."""
    if is_read_at_start(part, name):
        return "restart"
    readers = (one for one in (CONTROLLER, AGENT, PLACEMENT) if one.reads(part, name))
    return "live: " + ", ".join(one.name for one in readers)


def sample() -> str:
    """Return a file with every key at its default, commented out."""
    lines = ["# Every key that Lanekeeper reads, at its default.", ""]
    by_section: dict[str, list[tuple[str, str, Option]]] = {}
    for (part, name), option in options().items():
        by_section.setdefault(option.section, []).append((part, name, option))
    for section, found in by_section.items():
        lines += [f"[{section}]"]
        for part, name, option in found:
            lines += [f"# {line}" for line in wrap(_meaning(part, name, marks=False), 96)]
            lines += [f"#{option.key} = {_text(_default(part, name))}".rstrip(), ""]
    return "\n".join(lines)


def _options_of(part: str) -> Iterator[tuple[str, Option]]:
    return ((name, option) for (owner, name), option in options().items() if owner == part)


def _title(part: str) -> str:
    return _TITLES.get(part, part.capitalize())


def _cased(section: str) -> str:
    return "DEFAULT" if section == "default" else section


def _meaning(part: str, name: str, *, marks: bool = True) -> str:
    option = options()[part, name]
    words = [option.help]
    hint = get_type_hints(sections()[part], include_extras=True)[name]
    words += [
        f"A number {bounds_in_words(one)}."
        for one in get_args(hint)
        if isinstance(one, msgspec.Meta)
    ]
    if not marks and is_read_at_start(part, name):
        words.append("Read at the start only.")
    if not marks and option.of_agent:
        words.append("Of the host's agent.")
    for what, names in (("Old name", option.old), ("Also", option.also)):
        tick = "`" if marks else ""
        words += [f"{what}: {tick}[{section}] {key}{tick}." for section, key in names]
    return " ".join(words)


def _default(part: str, name: str) -> Any:
    return getattr(getattr(Config(), part), name)


def _shown(part: str, name: str) -> str:
    text = _text(_default(part, name))
    return f"`{text}`" if text else "unset"


def _text(value: Any) -> str:
    if value is None or isinstance(value, Mapping):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset):
        return format_cpu_set(value)
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, int | float | str):
        return str(value)
    fields = ((field, getattr(value, field)) for field in value.__slots__)
    return ",".join(f"{field}:{number}" for field, number in fields if number is not None)


PAGES = {
    ROOT / "docs/reference/configuration.md": reference,
    ROOT / "packaging/nova.conf.sample": sample,
}


def stale() -> list[Path]:
    """Return the pages that are not what the types say."""
    return [path for path, make in PAGES.items() if not path.exists() or path.read_text() != make()]


def main() -> int:
    if "--check" in sys.argv[1:]:
        for path in stale():
            print(f"{path} is stale: run scripts/config_reference.py")
        return 1 if stale() else 0
    for path, make in PAGES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
