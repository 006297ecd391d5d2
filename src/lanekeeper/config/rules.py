"""Who may do what: ``[oslo_policy]``."""

from __future__ import annotations

from typing import Annotated

from lanekeeper.config.option import Option, Section


class Rules(Section, frozen=True):
    """Who may do what."""

    policy_file: Annotated[
        str | None,
        Option(
            "oslo_policy",
            "policy_file",
            "File with oslo.policy rules in place of the defaults; --policy-file goes first.",
            is_path=True,
        ),
    ] = None
