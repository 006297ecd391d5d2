"""Ports of one server that must not end together: each on a VF of another PF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.port import VnicType
from lanekeeper.domain.pci.request import PF_VNIC_TYPES, VF_VNIC_TYPES

KEY = "apart"
"""The key of ``binding:profile``: ports of a server that have the same word there are apart."""
_LENGTH_MAX = 64


def word_of(profile: Mapping[str, Any]) -> str:
    """The word that a port shares with those it is apart from; empty for none."""
    return str(profile.get(KEY, ""))


def check_apart(vnic_type: VnicType, profile: Mapping[str, Any]) -> None:
    """Refuse a word that says nothing, or of a port that has no card.

    Raises:
        Invalid: it is no text of 1 to 64 characters, or the port is none of a card's.
    """
    if KEY not in profile:
        return
    word = profile[KEY]
    if not isinstance(word, str) or not 0 < len(word) <= _LENGTH_MAX:
        raise Invalid(
            f"binding:profile {KEY} {word!r:.80} is no text of 1 to {_LENGTH_MAX} characters",
            hint=f"give ports that are to be on different PFs the same word: {KEY}=uplinks",
        )
    if vnic_type not in VF_VNIC_TYPES | PF_VNIC_TYPES:
        raise Invalid(
            f"binding:profile {KEY} is {word!r}, and a port of vnic type {vnic_type} is on no card",
            hint=f"create the port with --vnic-type direct, or leave {KEY} out of the profile",
        )
