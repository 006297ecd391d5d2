"""Names under which flavors ask for devices."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Self, TypeVar

from lanekeeper.domain.errors import Forbidden, Invalid
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.device_spec import decode_json
from lanekeeper.domain.pci.flag import parse_flag
from lanekeeper.domain.pci.resource_class import (
    class_of_ids,
    normalize_resource_class,
    parse_traits,
)

_Choice = TypeVar("_Choice", bound=StrEnum)
_ID = re.compile(r"[0-9a-f]{4}", re.IGNORECASE | re.ASCII)
_NAME_MAX = 256
_ASKABLE = re.compile(r"[^,:]+")
_CAPABILITY = "pci"  # nova pci/request.py, _ALIAS_CAP_TYPE
_DEVICE_TYPES = (DeviceType.PCI, DeviceType.PF, DeviceType.VF)
_KEYS = (
    "name",
    "vendor_id",
    "product_id",
    "device_type",
    "numa_policy",
    "resource_class",
    "traits",
    "live_migratable",
    "capability_type",
    "project_ids",
)


class NumaPolicy(StrEnum):
    """How near to the guest's CPUs a device has to be.

    Source: nova ``objects/fields.py``, PCINUMAAffinityPolicy.
    """

    LEGACY = "legacy"
    PREFERRED = "preferred"
    REQUIRED = "required"
    SOCKET = "socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """One ``[pci] alias`` value. Several of one name are alternatives, the first preferred.

    With neither ids nor class any device of its type will do, as VMware's page has it; Nova refuses
    such a one.

    Attributes:
        dev_type: None takes anything but a whole PF.
        resource_class: the class asked for, in full; made from the ids where none is named.
        traits: what the device's provider must have, in full.
        live_migratable: None takes devices of either kind.
        project_ids: the projects that may ask for it; None: all. Not a key of Nova's.
        source: where it stands, as in ``nova.conf:12``.
        cautions: what is taken but says nothing here, one sentence each.

    Source: nova ``pci/request.py``, _ALIAS_SCHEMA.
    """

    name: str
    vendor_id: int | None = None
    product_id: int | None = None
    dev_type: DeviceType | None = None
    numa_policy: NumaPolicy = NumaPolicy.LEGACY
    resource_class: str | None = None
    traits: frozenset[str] = frozenset()
    live_migratable: bool | None = None
    project_ids: frozenset[str] | None = None
    source: str = field(default="", compare=False)
    cautions: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def parse(cls, entry: object, *, source: str = "") -> Self:
        """Check one decoded JSON object; *entry* itself is left untouched.

        Args:
            entry: the object.
            source: kept, for messages about this alias.

        Raises:
            Invalid: not an object, an unknown key, a value of the wrong type or outside its
                range, or nothing that tells which devices are meant.
        """
        if not isinstance(entry, Mapping):
            raise Invalid(f"alias {entry!r} is not a JSON object such as {_EXAMPLE}")
        for key in entry:
            _check_key(key)
        vendor_id, product_id = _id(entry, "vendor_id"), _id(entry, "product_id")
        named = _text(entry, "resource_class")
        dev_type = _choice(entry, "device_type", _DEVICE_TYPES)
        if dev_type is None or not vendor_id is product_id is None:
            _check_choice(vendor_id, product_id, named)
        return cls(
            name=_name(entry),
            vendor_id=vendor_id,
            product_id=product_id,
            dev_type=dev_type,
            numa_policy=_choice(entry, "numa_policy", NumaPolicy) or NumaPolicy.LEGACY,
            resource_class=_resource_class(vendor_id, product_id, named),
            traits=parse_traits(_text(entry, "traits")),
            live_migratable=_live_migratable(entry),
            project_ids=_project_ids(entry),
            source=source,
            cautions=_cautions(entry),
        )

    def is_for(self, project_id: str | None) -> bool:
        return project_id is None or self.project_ids is None or project_id in self.project_ids


def parse_option(text: str, *, source: str = "") -> Alias:
    """Read one value of ``[pci] alias``: a JSON object.

    Raises:
        Invalid: not JSON, or the alias is wrong.
    """
    return Alias.parse(decode_json(text, "alias"), source=source)


def check_together(aliases: Sequence[Alias]) -> None:
    """Check what concerns several aliases: those of one name agree in type and NUMA policy.

    Raises:
        Invalid: two of one name do not; both places are named.
    """
    first_by_name: dict[str, Alias] = {}
    for alias in aliases:
        first = first_by_name.setdefault(alias.name, alias)
        for what, one, other in (
            ("device_type", first.dev_type, alias.dev_type),
            ("numa_policy", first.numa_policy, alias.numa_policy),
        ):
            if one != other:
                here, there = alias.source or "alias", first.source or "its first entry"
                raise Invalid(
                    f"{here}: [pci] alias {alias.name!r} has {what} {other or 'none'}, "
                    f"but {one or 'none'} in {there}",
                    hint=f"alternatives of one name agree in {what}; use two names otherwise",
                )


def find(aliases: Sequence[Alias], name: str, project_id: str | None = None) -> tuple[Alias, ...]:
    """Return the alternatives of *name* in their order.

    Args:
        aliases: those that are configured.
        name: as a flavor writes it.
        project_id: who asks; None where nobody in particular does, as for a list of all.

    Raises:
        Invalid: no such alias; the hint lists those that are defined.
        Forbidden: there is one, and it is for other projects.
    """
    named = tuple(alias for alias in aliases if alias.name == name)
    found = tuple(alias for alias in named if alias.is_for(project_id))
    if named and not found:
        raise Forbidden(
            f"PCI alias {name} is not for project {project_id}",
            hint="the operator adds the project to project_ids of the alias",
            code="lanekeeper.alias.not_yours",
        )
    if not found:
        names = list(dict.fromkeys(alias.name for alias in aliases))
        listed = ", ".join(names[:_NAMES_LISTED]) + (", ..." if len(names) > _NAMES_LISTED else "")
        raise Invalid(
            f"PCI alias {name} is not defined",
            hint=f"defined are: {listed}; add it to [pci] alias, or use one of these"
            if names
            else "no [pci] alias is defined at all: add it there",
            code="lanekeeper.alias.unknown",
        )
    return found


_EXAMPLE = '{"name": "a1", "vendor_id": "8086", "product_id": "10ca"}'
_NAMES_LISTED = 20


def _check_key(key: object) -> None:
    if key in _KEYS:
        return
    if key == "device_id":
        # As Red Hat's chapter and VMware's page have it; of a device_spec it is refused alike.
        hint = "the vendor's number is 'vendor_id', the device's is 'product_id'"
        raise Invalid("alias has no key 'device_id'", hint=hint)
    close = get_close_matches(str(key).lower(), _KEYS, n=1, cutoff=0.7)
    hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(_KEYS)}"
    raise Invalid(f"alias has no key {key!r}", hint=hint)


def _check_choice(vendor_id: int | None, product_id: int | None, named: str | None) -> None:
    if not named and (vendor_id is None or product_id is None):
        raise Invalid(
            "alias needs vendor_id and product_id, or a resource_class, or a device_type alone",
            hint=f"an example: {_EXAMPLE}; with a device_type alone any device of it will do",
        )


def _text(entry: Mapping[str, object], name: str) -> str | None:
    value = entry.get(name)
    if isinstance(value, str) or name not in entry:
        return value if isinstance(value, str) else None
    raise Invalid(f"alias {name} {value!r} must be text in double quotes")


def _name(entry: Mapping[str, object]) -> str:
    text = _text(entry, "name")
    if text is None:
        raise Invalid("alias has no name")
    name = text.strip()
    if not name or len(text) > _NAME_MAX or "\0" in name:
        raise Invalid(f"alias name {text[:40]!r} must have 1 to {_NAME_MAX} characters")
    if not _ASKABLE.fullmatch(name):
        raise Invalid(
            f"alias name {text[:40]!r} has a comma or a colon, so no flavor can ask for it",
            hint="pci_passthrough:alias is NAME:COUNT[,NAME:COUNT...]; use another name, such as "
            f"{re.sub('[,:]+', '-', name)[:40]!r}",
        )
    return name


def _cautions(entry: Mapping[str, object]) -> tuple[str, ...]:
    if "capability_type" not in entry:
        return ()
    if _text(entry, "capability_type") != _CAPABILITY:
        raise Invalid(
            f"alias capability_type {entry['capability_type']!r} is not {_CAPABILITY!r}",
            hint="leave it out: nothing reads it",
        )
    return (
        "alias key 'capability_type' says nothing here, and with it Nova never finds a device; "
        "leave it out",
    )


def _id(entry: Mapping[str, object], name: str) -> int | None:
    text = _text(entry, name)
    if text is None:
        return None
    if not _ID.fullmatch(text):
        raise Invalid(f"alias {name} {text!r} must be exactly four hexadecimal digits")
    return int(text, 16)


def _choice(entry: Mapping[str, object], name: str, choices: Iterable[_Choice]) -> _Choice | None:
    text = _text(entry, name)
    if text is None:
        return None
    by_name = {str(choice): choice for choice in choices}
    if text not in by_name:
        raise Invalid(f"alias {name} {text!r} is none of {', '.join(by_name)}")
    return by_name[text]


def _resource_class(vendor_id: int | None, product_id: int | None, named: str | None) -> str | None:
    if named:
        return normalize_resource_class(named)
    if vendor_id is None or product_id is None:
        return None
    return class_of_ids(vendor_id, product_id)


def _live_migratable(entry: Mapping[str, object]) -> bool | None:
    # Text only, unlike in device_spec, as Nova's schema has it.
    text = _text(entry, "live_migratable")
    return None if text is None else parse_flag(text, "alias live_migratable")


def _project_ids(entry: Mapping[str, object]) -> frozenset[str] | None:
    if "project_ids" not in entry:
        return None
    ids = entry["project_ids"]
    if not isinstance(ids, list) or not ids or not all(isinstance(one, str) and one for one in ids):
        raise Invalid(
            f"alias project_ids {ids!r} must be a list with at least one project's id",
            hint='an example: "project_ids": ["8d7c…"]; leave it out for all projects',
        )
    return frozenset(ids)
