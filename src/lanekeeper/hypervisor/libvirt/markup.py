"""Elements of XML, made by hand, and the names of our own."""

from __future__ import annotations

from lxml import etree

NAMESPACE = "https://lanekeeper.dev/xmlns/1"
PREFIX = "lanekeeper"
SERVER, DEVICE, ITEM = (f"{{{NAMESPACE}}}{name}" for name in ("server", "device", "item"))
"""What a guest's domain carries of Lanekeeper's in its metadata."""

Element = etree._Element  # lxml has no public name for what every call of it returns


def tag(name: str, /, *content: Element | str, **attributes: str) -> Element:
    """Return the element *name* with text or elements in it. Raises ValueError: not for XML."""
    element = etree.Element(name, attributes)
    for piece in content:
        if isinstance(piece, str):
            element.text = piece
        else:
            element.append(piece)
    return element
