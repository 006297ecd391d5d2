"""What a client wants to get back: the Accept header of RFC 9110, section 12.5.1."""

from __future__ import annotations

_JSON = "application/json"


def is_json_wanted(accept: str) -> bool:
    """Whether a client that wrote *accept* takes JSON; one that wrote nothing does."""
    return not accept or _quality(accept, _JSON) > 0


def chosen(accept: str, *offers: str) -> str:
    """Return the offer that a client likes best, the first of equals; JSON where it has no wish."""
    if not accept or accept == "*/*":
        return _JSON
    liked = {offer: _quality(accept, offer) for offer in offers}
    best = max(liked, key=lambda offer: liked[offer])
    return best if liked[best] > 0 else _JSON


def _quality(accept: str, offer: str) -> float:
    """How much a client likes *offer*: the most exact range that covers it counts."""
    found: tuple[int, float] = (0, 0.0)
    for item in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in item.split(";"))
        exactness = _exactness(name, offer)
        if exactness > found[0]:
            found = exactness, _weight(parameters)
    return found[1]


def _exactness(name: str, offer: str) -> int:
    if name == offer:
        return 3
    if name == f"{offer.partition('/')[0]}/*":
        return 2
    return 1 if name == "*/*" else 0


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, number = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(number), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
