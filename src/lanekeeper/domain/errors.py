"""Expected failures, named by who can act on them. No HTTP here.

Error:
    ├── Invalid          the request is wrong and will stay wrong: change it
    ├── Unauthenticated  nobody knows who asks: log in
    ├── Forbidden        the caller may not: ask someone who may
    │   └── OverQuota    the project would have more than its quota: free some, or have it raised
    ├── NotFound         no such thing, or not yours to see
    ├── Conflict         the world moved on (stale generation, device taken): re-read, retry
    │   └── Stale        what the caller named as its precondition is not so: re-read
    ├── NoCapacity       nothing satisfies the request now: add devices, or wait
    ├── TooLarge         the body or list is larger than what is taken
    ├── NotOffered       a real OpenStack operation that this system does not have
    ├── Unavailable      a dependency is down: back off, retry
    └── HostFault        the kernel, libvirt or a device refused: look at that host

The API turns each class into an OpenStack fault in one place (``api/faults.py``).
A bug is not an ``Error``: it is an assertion, and it ends the request or the process.
"""

from __future__ import annotations

from collections.abc import Iterable


def clause(text: str) -> str:
    """Return *text* without the full stop at its end, so that a sentence can go on after it."""
    return text.rstrip(". ")


def some(texts: Iterable[str], most: int, between: str = ", ") -> str:
    """Name the first *most* of *texts*, and say how many more there are."""
    each = list(texts)
    more = f" and {len(each) - most} more" if len(each) > most else ""
    return f"{between.join(each[:most])}{more}"


class Error(Exception):
    """Something expected went wrong; ``str(error)`` is one sentence for its reader.

    Attributes:
        hint: what would help, one sentence; empty when the message says it already.
        code: stable machine code such as ``lanekeeper.device.taken``; added, never changed.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code

    @property
    def parts(self) -> tuple[Error, ...]:
        """Each of what went wrong, where that is several things; else this alone."""
        return (self,)


class Invalid(Error):
    """The request is wrong and will stay wrong. The caller changes it."""


class Unauthenticated(Error):
    """The credentials or the token are missing, wrong or expired. The caller logs in."""


class Forbidden(Error):
    """The caller is known but lacks the role. Someone with the role has to act."""


class OverQuota(Forbidden):
    """The project would have more than its quota. The caller frees some, or an admin raises it."""


class NotFound(Error):
    """The named thing does not exist. The caller looks again, or gives up."""


class Conflict(Error):
    """The world moved on (stale generation, device taken). The caller re-reads and retries."""


class Stale(Conflict):
    """A revision that the caller named as its precondition is not the present one (HTTP 412)."""


class NoCapacity(Error):
    """Nothing satisfies the request now. The operator adds devices, or the caller waits."""


class TooLarge(Error):
    """A body, list or name beyond its bound. The caller sends less."""


class NotOffered(Error):
    """An operation of OpenStack's API that is not there. The caller does without it."""


class Unavailable(Error):
    """A dependency is down. The caller backs off and retries."""


class HostFault(Error):
    """The kernel, libvirt or a device refused. The operator looks at that host."""
