"""What of a host could not be read: kept by name, where looking at the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from lanekeeper.domain.errors import HostFault

T = TypeVar("T")


class Part(Protocol):
    """Reads one part, as ``Faults.part`` does."""

    def __call__(self, name: str, read: Callable[[], T], absent: T) -> T: ...


class Faults:
    """Reads parts of a host.

    Args:
        keep: note a part that cannot be read and go on; else its HostFault is the caller's.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self.found: list[tuple[str, str]] = []

    def part(self, name: str, read: Callable[[], T], absent: T) -> T:
        """Return what *read* does; *absent* for a fault that is kept. Raises HostFault."""
        try:
            return read()
        except HostFault as error:
            if not self._keep:
                raise
            self.found.append((name, str(error)))
            return absent


def below(root: Path, faults: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Name files as they are called on the host, wherever its captured tree lies."""
    return tuple((name, reason.replace(f"{root}/", "/")) for name, reason in faults)


@contextmanager
def named_below(root: Path) -> Iterator[None]:
    """Have a HostFault name files as they are called on the host, wherever its tree lies."""
    try:
        yield
    except HostFault as error:
        raise HostFault(str(error).replace(f"{root}/", "/"), hint=error.hint) from error
