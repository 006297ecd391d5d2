"""One call of an API, said once for both servers: things are named, not told by their ids.

``{port-3}`` stands for the id that a server gave to what the sequence calls ``port-3``, and
``{port-3.fixed_ips.0.ip_address}`` for what it last showed of it. Each server has a ``Book`` of its
own that turns names into what it said, and back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NAME = re.compile(r"\{([a-z_]+-\d+)(?:\.([^{}]+))?\}")
View = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request.

    Attributes:
        path: below the API's version, with names: ``/ports/{port-3}``.
        makes: what the thing is called that it makes if it succeeds; several for one of many.
        who: whose token is sent.
    """

    method: str
    path: str
    body: Any = None
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    makes: tuple[str, ...] = ()
    who: str = "admin"

    @property
    def operation(self) -> str:
        """What is asked for, whatever it is asked of: ``PUT /ports/*``."""
        return f"{self.method} {_NAME.sub('*', self.path)}"

    @property
    def about(self) -> str:
        """The name of the thing that the path leads to; empty for a collection."""
        found = _NAME.search(self.path)
        return found[1] if found else ""

    @property
    def names(self) -> frozenset[str]:
        """The names of all things that are said in it."""
        said = json.dumps([self.path, self.body, self.query])
        return frozenset(found[1] for found in _NAME.finditer(said))

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        asked = f"{self.path}?{query}" if query else self.path
        more = [f"as {self.who}"] if self.who != "admin" else []
        more += [f"{name}: {value}" for name, value in self.headers.items()]
        more += [] if self.body is None else [repr(self.body)]
        return " ".join([self.method, asked, *more])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: *body* is JSON, None where there was none."""

    status: int
    body: Any = None

    @property
    def is_fault(self) -> bool:
        return self.status >= 400

    @property
    def error_type(self) -> str:
        """The fault's own name, empty where the answer is none."""
        error = self.body.get("NeutronError") if isinstance(self.body, dict) else None
        return str(error.get("type")) if isinstance(error, dict) else ""

    @property
    def message(self) -> str:
        """What a fault says, empty where the answer is none."""
        error = self.body.get("NeutronError") if isinstance(self.body, dict) else None
        return str(error.get("message")) if isinstance(error, dict) else ""

    def __str__(self) -> str:
        return f"{self.status} {self.error_type}".rstrip()


class Book:
    """What one server showed of the things of a sequence."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._names: dict[str, str] = {}

    def note(self, name: str, view: View) -> None:
        """Remember what the server showed of *name*."""
        self._views[name] = {**self._views.get(name, {}), **view}
        self._names[view["id"]] = name

    def drop(self, name: str) -> None:
        view = self._views.pop(name, None)
        if view is not None:
            self._names.pop(view["id"], None)

    def __contains__(self, name: str) -> bool:
        return name in self._views

    def id_of(self, name: str) -> str:
        return str(self._views[name]["id"])

    def name_of(self, thing_id: str) -> str | None:
        """What the thing of that id is called; None for one that is not of the sequence."""
        return self._names.get(thing_id)

    def fill(self, template: Any) -> Any:
        """*template* with this server's own values; what is but a name keeps the value's type."""
        if isinstance(template, str):
            whole = _NAME.fullmatch(template)
            if whole is not None:
                return self._value(whole)
            return _NAME.sub(lambda found: str(self._value(found)), template)
        if isinstance(template, dict):
            return {self.fill(key): self.fill(value) for key, value in template.items()}
        if isinstance(template, list | tuple):
            return [self.fill(one) for one in template]
        return template

    def _value(self, found: re.Match[str]) -> Any:
        value: Any = self._views.get(found[1])
        if value is None:
            return found[0]  # both servers are asked for what neither has
        for step in (found[2] or "id").split("."):
            if isinstance(value, list):
                if int(step) >= len(value):
                    return found[0]
                value = value[int(step)]
            else:
                value = value.get(step)
        return value
