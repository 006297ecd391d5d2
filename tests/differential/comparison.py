"""Whether two servers said the same: status, kind of error, and every field that is not made up.

What a server makes up (ids, MACs, addresses, VLAN ids, times) is compared by being there; what the
sequence said itself is compared as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from differential.call import Answer, Book, Call

UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_NO_ORDER = frozenset(
    {"subnets", "fixed_ips", "security_groups", "security_group_rules", "tags", "rules"}
    | {"subnet_ip_availability", "allocation_pools"}
)
"""Lists inside a thing whose order nobody promises."""
MADE_UP = frozenset(
    {"mac_address", "ip_address", "segmentation_id", "provider:segmentation_id", "vlan"}
    | {"standard_attr_id"}
)
"""Fields whose values servers draw, unless they are said."""
_COUNTED = frozenset({"revision_number"})
"""Its steps are the server's own business; that it is there is not."""
_NO_PLACE = frozenset(
    {"id", "created_at", "updated_at", "revision_number", "description", "tags", "shared"}
    | {"standard_attr_id", "belongs_to_default_sg", "ip_availability_details"}
    | {"availability_zones", "binding:vif_details", "ip_allocation"}
)
"""What elements without an order are not laid beside each other by; much of it one side lacks."""
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Difference:
    """One.

    Attributes:
        about: ``answer`` for status and error type, else the way to a field: ``port.mtu``.
    """

    about: str
    theirs: str
    ours: str

    def __str__(self) -> str:
        return f"{self.about}: {self.theirs} there, {self.ours} here"


class Reader:
    """Reads answers of one server so that they can be laid beside another's.

    *said* are the values that the sequence itself has said so far, as text.
    """

    def __init__(self, book: Book, said: Collection[str]) -> None:
        self._book = book
        self._said = said

    def read(self, call: Call, answer: Answer) -> Any:
        """The body without what differs from server to server."""
        body = answer.body
        if answer.is_fault or not isinstance(body, dict):
            return None
        if call.method == "GET" and call.about == "":
            return {key: self._collection(call, key, value) for key, value in body.items()}
        return self._value("", body)

    def _collection(self, call: Call, key: str, value: Any) -> Any:
        if not isinstance(value, list):
            return self._value(key, value)
        if key.endswith("_links"):
            return [self._link(one) for one in value]
        known = [one for one in value if self._is_of_sequence(one)]
        read = [self._value("", one) for one in known]
        return read if any(name == "sort_key" for name, _ in call.query) else _in_any_order(read)

    def _is_of_sequence(self, element: Any) -> bool:
        if not isinstance(element, dict) or "id" not in element:
            return True
        return self._book.name_of(str(element["id"])) is not None

    def _link(self, link: Any) -> Any:
        parts = urlsplit(link["href"])
        query = sorted((name, self._text(value)) for name, value in parse_qsl(parts.query))
        return {"rel": link["rel"], "path": parts.path.rpartition("/v2.0")[2], "query": query}

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._value(name, one) for name, one in value.items()}
        if isinstance(value, list):
            read = [self._value(key, one) for one in value]
            return _in_any_order(read) if key in _NO_ORDER else read
        if key in _COUNTED:
            return f"<{key}>"
        if key in MADE_UP and value is not None and str(value) not in self._said:
            return "<made up>"
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        if _MOMENT.fullmatch(text):
            return "<moment>"
        if UUID.fullmatch(text):
            name = self._book.name_of(text)
            return text if text in self._said else f"{{{name}}}" if name else "<id>"
        return text


def compare(theirs: tuple[Answer, Any], ours: tuple[Answer, Any]) -> list[Difference]:
    """Lay two answers beside each other, each with what a ``Reader`` read of its body."""
    if str(theirs[0]) != str(ours[0]):
        return [Difference("answer", str(theirs[0]), str(ours[0]))]
    return list(_apart("", theirs[1], ours[1]))


def _apart(way: str, theirs: Any, ours: Any) -> Iterator[Difference]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            inner = f"{way}.{key}" if way else key
            yield from _apart(inner, theirs.get(key, _ABSENT), ours.get(key, _ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for one, other in zip(theirs, ours, strict=True):
            yield from _apart(way, one, other)
    elif theirs != ours or type(theirs) is not type(ours):
        yield Difference(way, _shown(theirs), _shown(ours))


def _in_any_order(values: list[Any]) -> list[Any]:
    return sorted(values, key=lambda one: (_place(one), json.dumps(one, sort_keys=True)))


def _place(value: Any) -> str:
    if isinstance(value, dict):
        if str(value.get("id", "")).startswith("{"):  # what the sequence knows by name
            return f"{value['id']}"
        value = {key: one for key, one in value.items() if key not in _NO_PLACE}
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> str:
    return value if value == _ABSENT else json.dumps(value, sort_keys=True)
