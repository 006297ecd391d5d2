"""Microversions: history as numbers. A row of a face has ``since`` and ``until``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lanekeeper.domain.errors import Invalid

_NUMBER = re.compile(r"(?P<major>[1-9]\d{0,3})\.(?P<minor>0|[1-9]\d{0,3})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Microversion:
    """``2.61`` and the like; sorts by number, not by text."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``MAJOR.MINOR``.

        Raises:
            Invalid: anything else.
        """
        found = _NUMBER.fullmatch(text.strip())
        if found is None:
            raise Invalid(f"{text!r} is not a microversion such as 2.61")
        return cls(int(found["major"]), int(found["minor"]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class NotAcceptable(Invalid):
    """A well-formed microversion outside the announced range (406).

    Attributes:
        facts: ``min_version`` and ``max_version``, from which osc-placement negotiates.
    """

    def __init__(self, message: str, least: Microversion, most: Microversion) -> None:
        super().__init__(message)
        self.facts = {"min_version": str(least), "max_version": str(most)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The range that one service announces and the headers in which it is asked for.

    Attributes:
        service: name in ``OpenStack-API-Version: <service> 2.61``.
        legacy_header: an older header that carries the bare number, or empty.

    Source:
        OpenStack API SIG, microversion specification.
    """

    service: str
    least: Microversion
    most: Microversion
    legacy_header: str = ""

    def wanted(self, headers: Mapping[str, str]) -> Microversion:
        """What the request asks for; the least when it names none, ``latest`` is the most.

        Raises:
            Invalid: not a version.
            NotAcceptable: outside the range.
        """
        text = self._asked(headers)
        if not text:
            return self.least
        wanted = self.most if text == "latest" else Microversion.parse(text)
        if not self.least <= wanted <= self.most:
            raise NotAcceptable(
                f"Version {wanted} is not supported by the API. "
                f"Minimum is {self.least} and maximum is {self.most}.",
                self.least,
                self.most,
            )
        return wanted

    def _asked(self, headers: Mapping[str, str]) -> str:
        for part in headers.get("openstack-api-version", "").split(","):
            service, _, number = part.strip().partition(" ")
            if service.lower() == self.service:
                return number.strip().lower()
        return headers.get(self.legacy_header, "").strip().lower() if self.legacy_header else ""

    def answer(self, used: Microversion) -> dict[str, str]:
        """Headers that tell the client which version was used."""
        vary = "OpenStack-API-Version"
        headers = {"OpenStack-API-Version": f"{self.service} {used}"}
        if self.legacy_header:
            headers[self.legacy_header] = str(used)
            vary += f", {self.legacy_header}"
        return headers | {"Vary": vary}
