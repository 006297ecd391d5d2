"""Whom VFs serve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lanekeeper.domain.hostplan.policy.reading import PolicyInvalid, read_text

NAME = re.compile(r"[^\s,\"']{1,255}")


@dataclass(frozen=True, slots=True)
class Purpose:
    """Whom VFs serve: ports on a physical network, or servers that ask for an alias."""

    physical_network: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.physical_network is not None:
            return f"physical_network {self.physical_network}"
        return f"alias {self.alias}"


def read_purpose(fields: Mapping[str, Any], path: str) -> Purpose | None:
    given = [name for name in ("physical_network", "alias") if fields.get(name) is not None]
    if len(given) > 1:
        raise PolicyInvalid(
            f"{path}.alias",
            "stands beside physical_network",
            hint="VFs serve ports or an alias, not both: give ranges of them to each, or drop one",
        )
    if not given:
        return None
    name = given[0]
    value = read_text(fields[name], f"{path}.{name}", NAME, "a name without blanks and quotes")
    return Purpose(**{name: value})
