"""What a client writes to find servers by a name: a part of it, anchors, gaps.

Nova hands such a filter to its database as a regular expression. Any client could then keep a
thread busy for as long as it likes, so only what costs no more than the text is long is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GAP = ".*"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Texts to be found in this order, without regard to case.

    Attributes:
        parts: in lower case.
        from_start, to_end: whether the first and the last stand at the ends.
    """

    parts: tuple[str, ...]
    from_start: bool = False
    to_end: bool = False

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read ``^`` at the start, ``$`` at the end, ``.*`` between; the rest means itself.

        A backslash takes its meaning from the character after it.
        """
        body = text.removeprefix("^")
        pieces = list(_pieces(body))
        to_end = bool(pieces) and pieces[-1] == "$"
        parts = [""]
        for piece in pieces[:-1] if to_end else pieces:
            if piece == _GAP:
                parts.append("")
            else:
                parts[-1] += piece[-1]
        return cls(tuple(part.lower() for part in parts), body != text, to_end)

    def finds(self, text: str) -> bool:
        """Whether it is found in *text*."""
        text = text.lower()
        first, last = self.parts[0], self.parts[-1]
        if self.from_start and not text.startswith(first):
            return False
        if self.to_end and not text.endswith(last):
            return False
        if self.from_start and self.to_end and len(self.parts) == 1:
            return text == first
        end = len(text) - len(last) if self.to_end else len(text)
        at = 0
        for part in self.parts[:-1] if self.to_end else self.parts:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return at <= end


def _pieces(text: str) -> Iterator[str]:
    """Characters, each with the backslash before it, and gaps."""
    at = 0
    while at < len(text):
        is_long = text[at] == "\\" and at + 1 < len(text)
        piece = text[at : at + 2] if is_long or text.startswith(_GAP, at) else text[at]
        yield piece
        at += len(piece)
