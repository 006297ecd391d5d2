"""All rules, in the order in which their findings stand for one line."""

from __future__ import annotations

from lanekeeper.config.doctor import (
    rules_alias,
    rules_filter,
    rules_host,
    rules_interface,
    rules_key,
    rules_network,
    rules_spec,
    rules_tag,
    rules_text,
)
from lanekeeper.config.doctor.finding import Rule

CHAPTERS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("How files are written", rules_text.RULES),
    ("Keys and values", (*rules_key.RULES, *rules_filter.RULES)),
    ("device_spec", rules_spec.RULES),
    ("Tags of device_spec", rules_tag.RULES),
    ("alias", rules_alias.RULES),
    ("Networks", rules_network.RULES),
    ("Against a host", (*rules_host.RULES, *rules_interface.RULES)),
)

RULES: tuple[Rule, ...] = tuple(rule for _, rules in CHAPTERS for rule in rules)
