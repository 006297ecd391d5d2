"""Who may do what: oslo.policy over the rules that the rows name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from oslo_config import cfg
from oslo_policy import policy as oslo

from lanekeeper.api.policy_file import read_rules
from lanekeeper.api.row import Face, Policy
from lanekeeper.control.caller import Caller
from lanekeeper.domain.errors import Forbidden

_NOBODY = "!"
"""What oslo.policy reads as a rule that lets nobody pass."""


class Enforcer:
    """Checks rules; a policy file of the operator overrides the rows' defaults.

    Source: oslo.policy; rule names are those of Nova, Neutron, Glance, Keystone and Placement.
    """

    def __init__(
        self,
        faces: Iterable[Face],
        policy_file: Path | None = None,
        *,
        new_defaults: bool = True,
    ) -> None:
        """Take every rule that a row names; without *new_defaults* the old ones hold too.

        Raises:
            Invalid: as ``load`` does.
        """
        self._rules = _rules(faces)
        self._defaults = {
            rule.name: rule.default if new_defaults or not rule.old else _either(rule)
            for rule in self._rules
        }
        self.load(policy_file)

    def load(self, policy_file: Path | None) -> None:
        """Judge by the defaults and *policy_file* from now on; a refusal leaves what was.

        Raises:
            Invalid: the policy file is not there or not right; names file, line and rule.
        """
        own = read_rules(policy_file, self._defaults.keys()) if policy_file is not None else {}
        config = cfg.ConfigOpts()
        config([], project="lanekeeper", default_config_files=[], default_config_dirs=[])
        fresh = oslo.Enforcer(config, use_conf=False)  # it would look for files of its own
        fresh.suppress_deprecation_warnings = True
        for rule in self._rules:
            # Registered for its scopes only; what it asks for is set below, all rules at once.
            scopes = list(rule.scopes) or None
            fresh.register_default(oslo.RuleDefault(rule.name, _NOBODY, scope_types=scopes))
        asked = {**self._defaults, **own}
        # Hundreds of rules ask for a few dozen things, each of which is read once.
        read = oslo.Rules.from_dict({text: text for text in asked.values()})
        rules = oslo.Rules({name: read[text] for name, text in asked.items()})
        fresh.set_rules(rules, use_conf=False)
        self._oslo = fresh

    def check(self, rule: Policy, caller: Caller, **target: str | None) -> None:
        """Let *caller* pass; *target* says whose thing it is about, the caller's own if nothing.

        Raises:
            Forbidden: the rule says no; the message names the rule and what it asks for.
        """
        credentials = {
            "roles": sorted(caller.roles),
            "user_id": caller.user_id,
            "project_id": caller.project_id,
            "system_scope": "all" if caller.system else None,
        }
        own = {"project_id": caller.project_id, "user_id": caller.user_id}
        if not self._oslo.enforce(rule.name, own | target, credentials):
            roles = ", ".join(sorted(caller.roles)) or "none"
            raise Forbidden(
                f"Policy does not allow {rule.name} to be performed. It asks for "
                f"{self._oslo.rules[rule.name]}; your roles here are: {roles}"
            )


def _either(rule: Policy) -> str:
    return f"({rule.default}) or ({rule.old})"


def _rules(faces: Iterable[Face]) -> list[Policy]:
    by_name: dict[str, Policy] = {}
    for face in faces:
        for base in face.bases:
            known = by_name.setdefault(base.name, base)
            assert known == base, f"{base.name} has two defaults"
        for row in face.rows:
            named = (row.policy, *row.asks) if row.policy is not None else row.asks
            for rule in named:
                known = by_name.setdefault(rule.name, rule)
                assert known == rule, f"{rule.name} has two defaults"
    return list(by_name.values())
