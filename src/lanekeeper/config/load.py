"""Makes the frozen tree out of files, and says what in them is wrong or old."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from lanekeeper.config.correction import advice, corrected
from lanekeeper.config.file import NO_SECTION, Entry, read_files
from lanekeeper.config.filter_name import IDLE_FILTERS, gone_in_words
from lanekeeper.config.home import bare_option, home_of, option_at
from lanekeeper.config.names import as_read, bounds_in_words, options, rank, sections
from lanekeeper.config.option import Option, Section
from lanekeeper.config.stray_key import caution_of
from lanekeeper.config.tree import Config, Cpus
from lanekeeper.config.value import split_list
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Error, Invalid
from lanekeeper.domain.network.mapping import check_interfaces
from lanekeeper.domain.pci import alias, device_spec
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.domain.pci.meant import refuse_all, refuse_twice
from lanekeeper.domain.topology.cpu_set import format_cpu_set

_Value = TypeVar("_Value")
_COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can stand, and what its reader should know about it."""

    config: Config
    warnings: tuple[str, ...] = ()


def sample_path() -> Path:
    """Return the shipped sample."""
    return Path(str(resources.files("lanekeeper").joinpath("data/nova.sample.conf")))


def load(files: Sequence[Path], overrides: Mapping[str, str] | None = None) -> Loaded:
    """Read *files* in order; later values win, repeatable keys add up.

    Args:
        files: OpenStack's, INI or VIO's custom.yml; none means the shipped sample.
        overrides: ``section.key`` to the text that a file would hold; they replace what files say.

    Raises:
        Invalid: the first thing that is wrong, with file and line, section, key and what would be
            right. An unknown key of our own sections is wrong; elsewhere it is a warning.
    """
    reader = _Reader()
    for entry in read_files(files or (sample_path(),)):
        reader.take(entry)
    reader.order()
    for name, text in (overrides or {}).items():
        section, _, key = name.partition(".")
        reader.replace(Entry(section.lower(), key, text, _COMMAND_LINE))
    config = reader.config()
    _check_together(config, reader)
    return Loaded(config, tuple(reader.warnings))


@dataclass(slots=True)
class _Reader:
    """Gathers the entries of each option, then turns them into the tree."""

    found: dict[Option, list[Entry]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def take(self, entry: Entry) -> None:
        section, key = home_of(entry)
        option, is_old = option_at(section, key)
        if option is None and section == NO_SECTION:
            option, is_old = bare_option(key), True
        if option is None:
            if caution := caution_of(entry):
                self._add(caution)
            return
        if is_old:
            place = f"[{section}] {key}" if section else f"{key} outside of a section"
            self._warn(entry, f"{place.replace('[default]', '[DEFAULT]')} is now {option.name}")
        self.found.setdefault(option, []).append(entry)

    def order(self) -> None:
        """Put the entries of each option in the order in which they count; after the last one."""
        for option, entries in self.found.items():
            self.found[option] = as_read(entries, partial(_place, option))

    def replace(self, entry: Entry) -> None:
        option, _ = option_at(entry.section, entry.key)
        if option is None:
            raise Invalid(f"{entry.source}: there is no option {entry.section}.{entry.key}")
        self.found[option] = [entry]

    def source(self, option: Option) -> str:
        return self.found[option][-1].source

    def config(self) -> Config:
        strict = self._value(*_field_of("lanekeeper", "strict_device_spec"))
        parts: dict[str, Section] = {}
        for part, section in sections().items():
            values = {}
            for (owner, name), option in options().items():
                if owner == part and option in self.found:
                    values[name] = self._read(section, name, option, strict=bool(strict))
            parts[part] = section(**values)
        return Config(**parts)  # type: ignore[arg-type]  # names and types come from Config itself

    def _read(self, section: type[Section], name: str, option: Option, *, strict: bool) -> Any:
        if name == "device_spec":
            return tuple(spec for one in self.found[option] for spec in self._specs(one, strict))
        if name == "alias":
            return tuple(self._alias(one, option) for one in self.found[option])
        if option.multiple and option.parse is not None:
            return tuple(
                _attempt(one, option, partial(option.parse, one.value))
                for one in self.found[option]
            )
        return self._value(section, name, option)

    def _specs(self, entry: Entry, strict: bool) -> tuple[device_spec.DeviceSpec, ...]:
        option = options()["pci", "device_spec"]
        specs = _attempt(
            entry,
            option,
            lambda: device_spec.parse_option(entry.value, source=entry.source, strict=strict),
        )
        _refuse_unmeant(entry, "device_spec", specs)
        for spec in specs:
            for caution in spec.cautions:
                self._warn(entry, caution)
        return specs

    def _alias(self, entry: Entry, option: Option) -> alias.Alias:
        read = _attempt(entry, option, _alias_of(entry))
        _refuse_unmeant(entry, "alias")
        for caution in read.cautions:
            self._warn(entry, caution)
        return read

    def _value(self, section: type[Section], name: str, option: Option) -> Any:
        if option not in self.found:
            return None
        entry = self.found[option][-1]
        if option.is_path:
            return str(entry.directory / entry.value) if entry.value else None
        value = _attempt(entry, option, lambda: convert(section, name, option, entry.value))
        self._notice(entry, option, value)
        return value

    def _notice(self, entry: Entry, option: Option, value: Any) -> None:
        if option.key in ("report_in_placement", "pci_in_placement") and value is False:
            self._warn(entry, f"{option.name} = false has no effect: Placement shows every device")
        if option.key == "mechanism_drivers" and "sriovnicswitch" not in value:
            self._warn(
                entry,
                f"{option.name} is read and not obeyed: ports of type direct are bound without "
                "sriovnicswitch, too",
            )
        if option.key == "enabled_filters":
            self._notice_filters(entry, option.name)

    def _notice_filters(self, entry: Entry, option: str) -> None:
        names = list(split_list(entry.value))
        if words := gone_in_words(names):
            self._warn(entry, f"{option}, left out: {words}")
        if idle := [name for name in names if name in IDLE_FILTERS]:
            self._warn(entry, f"{option}: no host is turned away by {', '.join(idle)} here")
        if "PciPassthroughFilter" not in names:
            self._warn(
                entry,
                f"{option}: PciPassthroughFilter is not among them; devices are checked all the "
                "same: none is handed out unchecked",
            )

    def _warn(self, entry: Entry, text: str) -> None:
        self._add(f"{entry.source}: {text}")

    def _add(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)


def _place(option: Option, entry: Entry) -> tuple[str, int]:
    return entry.source.rpartition(":")[0], rank(option, *home_of(entry))


def _field_of(part: str, name: str) -> tuple[type[Section], str, Option]:
    return sections()[part], name, options()[part, name]


def _refuse_unmeant(entry: Entry, name: str, specs: Sequence[device_spec.DeviceSpec] = ()) -> None:
    """Refuse what is well written and nobody means; no line can be offered in its place.

    Raises:
        Invalid: a key stands twice in one object, or every device is selected.
    """
    try:
        refuse_twice(entry.value, name)
        refuse_all(specs)
    except Invalid as error:
        raise Invalid(f"{entry.source}: [pci] {error}", hint=error.hint) from error


def _alias_of(entry: Entry) -> Callable[[], alias.Alias]:
    def read() -> alias.Alias:
        value = device_spec.decode_json(entry.value, "alias")
        return alias.Alias.parse(value, source=entry.source)

    return read


def convert(section: type[Section], name: str, option: Option, text: str) -> Any:
    """Turn the text of an option that is no device_spec or alias into the field's value.

    Raises:
        Invalid: it is none.
    """
    hint = get_type_hints(section, include_extras=True)[name]
    bare, *metadata = get_args(hint)
    if option.parse is not None:
        return option.parse(text)
    if bare is bool:
        return parse_flag(text, "the value")
    if get_origin(bare) is tuple:
        return tuple(split_list(text))
    for bounds in metadata:
        if isinstance(bounds, msgspec.Meta):
            return _number(text, bare, bounds)
    return _number(text, bare, msgspec.Meta()) if bare in (int, float) else text


def _number(text: str, kind: type[int] | type[float], bounds: msgspec.Meta) -> int | float:
    try:
        number: int | float = typed.convert(text, Annotated[kind, bounds], strict=False)
    except msgspec.ValidationError as error:
        what = "a whole number" if kind is int else "a number"
        raise Invalid(f"{text[:80]!r} is not {what} {bounds_in_words(bounds)}") from error
    return number


def _attempt(entry: Entry, option: Option, read: Callable[[], _Value]) -> _Value:
    """Read a value; an error gets told where it happened."""
    try:
        return read()
    except Error as error:
        # The domain's own sentences mostly begin with the key already.
        named = str(error).startswith(option.key)
        place = f"[{option.section}]" if named else f"{option.name}:"
        hint = advice(option, corrected(option, entry.value)) or error.hint
        raise Invalid(f"{entry.source}: {place} {error}", hint=hint) from error


def _check_together(config: Config, reader: _Reader) -> None:
    """Check what concerns several values at once. Raises Invalid, with the place of one of them."""
    alias.check_together(config.pci.alias)
    option = options()["cpus", "cpu_shared_set"]
    if option in reader.found:
        _attempt(reader.found[option][-1], option, lambda: _check_apart(config.cpus))
    nic = config.sriov_nic
    for name in (
        "exclude_devices",
        "resource_provider_bandwidths",
        "resource_provider_hypervisors",
    ):
        option = options()["sriov_nic", name]
        if option in reader.found:
            _attempt(
                reader.found[option][-1],
                option,
                lambda name=name: check_interfaces(  # type: ignore[misc]  # bound now, called now
                    name, getattr(nic, name), nic.physical_device_mappings
                ),
            )


def _check_apart(cpus: Cpus) -> None:
    if both := cpus.cpu_shared_set & cpus.cpu_dedicated_set:
        raise Invalid(
            f"CPU {format_cpu_set(both)} is in cpu_dedicated_set, too",
            hint="leave it out of one of them: no CPU is for one guest and for all",
        )
