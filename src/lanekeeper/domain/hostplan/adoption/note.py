"""What somebody has to know who takes over an adopted policy, because it does not say so itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """One thing to know.

    Attributes:
        subject: the setting or the device.
        says: what it risks, what stands in its place, or why it is left out.
        path: the field of the policy that it is about; empty for none.
    """

    subject: str
    says: str
    path: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.says}"
