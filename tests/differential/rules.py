"""What entries of ``deliberate.toml`` ask of a call."""

from __future__ import annotations
