"""All that is wrong with a policy, not only the first of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from lanekeeper.domain.hostplan.policy.reading import (
    PolicyInvalid,
    require_mapping,
    unknown_keys,
)

P = ParamSpec("P")
T = TypeVar("T")


class Problems:
    """Reads on past what is wrong; at its end the block raises all of that as one.

    with Problems() as problems:
        vfs = problems.read(read_count, fields["vfs"], f"{path}.vfs")
        link = problems.read(_link, fields["link"], f"{path}.link")

    What a reader that failed returned is of use behind the block only, which is then not reached.
    """

    def __init__(self) -> None:
        self._found: list[PolicyInvalid] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, PolicyInvalid):
            self._found.append(error)
        elif error is not None:
            return
        if self._found and self._found != [error]:
            raise PolicyInvalid.joined(self._found) from error

    def note(self, problem: PolicyInvalid) -> None:
        self._found.append(problem)

    def read(self, reader: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        try:
            return reader(*values, **named)
        except PolicyInvalid as error:
            self.note(error)
            return cast(T, None)

    def each(
        self, reader: Callable[[Any, str], T], values: Iterable[object], path: str
    ) -> tuple[T, ...]:
        """Read each of *values*, the elements of the list at *path*."""
        return tuple(self.read(reader, one, f"{path}[{at}]") for at, one in enumerate(values))

    def mapping(self, value: object, path: str, known: Sequence[str]) -> Mapping[str, Any]:
        """Return what *value* has of the *known* keys; others are noted. Raises PolicyInvalid."""
        found = require_mapping(value, path, known)
        self._found += unknown_keys(found, path, known)
        return {key: one for key, one in found.items() if key in known}
