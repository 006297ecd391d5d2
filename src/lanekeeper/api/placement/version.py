"""Placement's microversions, 1.0 to 1.39, and how one is asked for.

Source: OpenStack API SIG, microversion specification; texts: ``microversion_parse``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lanekeeper.api.microversion import Microversion, NotAcceptable
from lanekeeper.domain.errors import Invalid

LEAST, MOST = Microversion(1, 0), Microversion(1, 39)
CACHED_SINCE = 15
CODES_SINCE = 23
_NUMBER = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})", re.ASCII)


def wanted(headers: Mapping[str, str]) -> Microversion:
    """What a request asks for; the least when it names none or other services' only.

    Raises:
        Invalid: not a version.
        NotAcceptable: a version that is not there; tells which are.
    """
    text = ""
    for part in headers.get("openstack-api-version", "").split(","):
        service, _, number = part.strip().partition(" ")
        if service.lower() == "placement":
            text = number.strip().lower()
    if not text:
        return LEAST
    if text == "latest":
        return MOST
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise Invalid(f"invalid version string: {text[:40]}")
    version = Microversion(int(found[1]), int(found[2]))
    if not LEAST <= version <= MOST:
        raise NotAcceptable(f"Unacceptable version header: {version}", LEAST, MOST)
    return version
