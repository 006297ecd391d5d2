"""XML by its content."""

from __future__ import annotations

from typing import Any


def plain(element: Any) -> Any:
    """Compare by content: order of attributes and case of hexadecimal digits mean nothing."""
    attributes = {name: value.lower() for name, value in element.attrib.items()}
    children = sorted(
        (plain(child) for child in element if child.tag != "driver"), key=lambda child: child[0]
    )
    return element.tag, attributes, (element.text or "").strip(), children
