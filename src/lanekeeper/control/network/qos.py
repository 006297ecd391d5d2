"""QoS policies: what a caller can want of them. A change reaches running guests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.port import lock_holders, touch_holders
from lanekeeper.control.network.port_able import check_settings
from lanekeeper.control.network.port_bandwidth import settle_bandwidth
from lanekeeper.control.network.scope import demand_owner, missing, owner_of_new, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, NotFound
from lanekeeper.domain.network.port import PortRecord
from lanekeeper.domain.network.qos import (
    QosPolicyRecord,
    QosPolicyWanted,
    QosRule,
    RuleType,
    check_rules,
    rule_read,
    rule_stored,
)
from lanekeeper.store import tables
from lanekeeper.store.network.port import port_list
from lanekeeper.store.network.qos import (
    qos_policy_delete,
    qos_policy_insert,
    qos_policy_list,
    qos_policy_write,
    qos_users,
)
from lanekeeper.store.row import row_change_list, row_update

Rules = list[QosRule]


def list_policies(
    site: Site, caller: Caller, wanted: Mapping[str, Collection[str]]
) -> tuple[QosPolicyRecord, ...]:
    """What *caller* sees, oldest first, narrowed by ``store.qos.FILTERS``."""
    with site.database.read() as connection:
        return qos_policy_list(connection, wanted, project_id=scope(caller))


def show_policy(site: Site, caller: Caller, policy_id: str) -> QosPolicyRecord:
    """One policy.

    Raises:
        NotFound: code QosPolicyNotFound.
    """
    with site.database.read() as connection:
        return visible_policy(connection, caller, policy_id)


def create_policies(
    site: Site, caller: Caller, wanted: Sequence[QosPolicyWanted]
) -> tuple[QosPolicyRecord, ...]:
    """Make all policies, or none.

    Raises:
        Forbidden: for another project.
        Conflict: code QoSPolicyDefaultAlreadyExists.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[QosPolicyRecord, ...]:
        return tuple(_create(connection, caller, one, now) for one in wanted)

    return site.database.write(work)


def update_policy(
    site: Site,
    caller: Caller,
    policy_id: str,
    values: Mapping[str, Any],
    revision: int | None = None,
) -> QosPolicyRecord:
    """Change columns of a policy.

    Raises:
        NotFound, Forbidden: not there, or another project's.
        Stale: the revision is another one.
        Conflict: codes QoSPolicyDefaultAlreadyExists, InvalidSharedSetting.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> QosPolicyRecord:
        present = visible_policy(connection, caller, policy_id)
        demand_owner(caller, present.project_id, "update_policy")
        row_update(connection, tables.qos_policy, policy_id, {}, now=now, revision=revision)
        qos_policy_write(connection, policy_id, present.project_id, values)
        if present.shared and values.get("shared") is False:
            _check_unshare(connection, present)
        return visible_policy(connection, caller, policy_id)

    return site.database.write(work)


def delete_policy(site: Site, caller: Caller, policy_id: str, revision: int | None = None) -> None:
    """Delete a policy that nothing has.

    Raises:
        NotFound, Forbidden, Stale: as ``update_policy``.
        Conflict: code QosPolicyInUse; who has it is named.
    """

    def work(connection: sa.Connection) -> None:
        present = visible_policy(connection, caller, policy_id)
        demand_owner(caller, present.project_id, "delete_policy")
        qos_policy_delete(connection, policy_id, revision=revision)

    site.database.write(work)


def show_rule(
    site: Site, caller: Caller, kind: RuleType, rule_id: str, policy_id: str | None = None
) -> tuple[QosPolicyRecord, QosRule]:
    """One rule with its policy, which need not be named.

    Raises:
        NotFound: codes QosPolicyNotFound, QosRuleNotFound.
    """
    with site.database.read() as connection:
        return _rule(connection, caller, kind, rule_id, policy_id)


def create_rule(
    site: Site, caller: Caller, policy_id: str, kind: RuleType, values: Mapping[str, Any]
) -> tuple[QosPolicyRecord, QosRule]:
    """Give a policy a rule; *values* are fields of ``QosRule``.

    Raises:
        NotFound, Forbidden: as ``update_policy``.
        Conflict: codes QoSRulesConflict, QoSRuleParameterConflict, QosRuleNotSupported,
            QosPlacementAllocationUpdateConflict.
    """
    rule = QosRule(id=str(uuid.uuid4()), type=kind, **values)
    changed = _change_rules(site, caller, policy_id, lambda rules: [*rules, rule])
    return changed, rule


def update_rule(
    site: Site,
    caller: Caller,
    kind: RuleType,
    rule_id: str,
    values: Mapping[str, Any],
    *,
    policy_id: str | None = None,
) -> tuple[QosPolicyRecord, QosRule]:
    """Change fields of a rule.

    Raises:
        NotFound, Forbidden, Conflict: as ``create_rule``; code QosRuleNotFound too.
    """
    policy, _ = show_rule(site, caller, kind, rule_id, policy_id)

    def changed(rules: Rules) -> Rules:
        place = _place(rules, policy.id, kind, rule_id)
        return [*rules[:place], replace(rules[place], **values), *rules[place + 1 :]]

    after = _change_rules(site, caller, policy.id, changed)
    return after, next(rule for rule in after.rules if rule.id == rule_id)


def delete_rule(
    site: Site, caller: Caller, kind: RuleType, rule_id: str, policy_id: str | None = None
) -> None:
    """Take a rule out of its policy.

    Raises:
        NotFound, Forbidden: as ``update_rule``.
    """
    policy, _ = show_rule(site, caller, kind, rule_id, policy_id)

    def without(rules: Rules) -> Rules:
        place = _place(rules, policy.id, kind, rule_id)
        return [*rules[:place], *rules[place + 1 :]]

    _change_rules(site, caller, policy.id, without)


def visible_policy(connection: sa.Connection, caller: Caller, policy_id: str) -> QosPolicyRecord:
    """Read a policy that *caller* sees.

    Raises:
        NotFound: code QosPolicyNotFound.
    """
    found = qos_policy_list(connection, {"id": (policy_id,)}, project_id=scope(caller))
    if not found:
        raise missing("QosPolicy", policy_id)
    return found[0]


def _create(
    connection: sa.Connection, caller: Caller, wanted: QosPolicyWanted, now: datetime
) -> QosPolicyRecord:
    owner = owner_of_new(caller, wanted.project_id, "policy")
    policy_id = str(uuid.uuid4())
    qos_policy_insert(connection, policy_id, wanted, project_id=owner, now=now)
    return visible_policy(connection, caller, policy_id)


def _change_rules(
    site: Site, caller: Caller, policy_id: str, change: Callable[[Rules], Rules]
) -> QosPolicyRecord:
    """Replace a policy's rules, and tell the hosts of the servers whose ports have it."""
    now = site.clock()

    def stored(rules: list[Any]) -> list[Any]:
        changed = change([rule_read(rule) for rule in rules])
        check_rules(policy_id, changed)
        return [rule_stored(rule) for rule in changed]

    def work(connection: sa.Connection) -> tuple[QosPolicyRecord, tuple[str, ...]]:
        present = visible_policy(connection, caller, policy_id)
        demand_owner(caller, present.project_id, "update_policy")
        lock_holders(connection, _ports_with(connection, policy_id))
        row_change_list(connection, tables.qos_policy, policy_id, "rules", stored, now=now)
        ports = _ports_with(connection, policy_id)
        check_settings(connection, ports)
        settle_bandwidth(connection, ports, now)
        hosts = touch_holders(connection, ports)
        return visible_policy(connection, caller, policy_id), hosts

    changed, hosts = site.database.write(work)
    for host_id in hosts:
        site.bells.ring(host_id)
    return changed


def _ports_with(connection: sa.Connection, policy_id: str) -> tuple[PortRecord, ...]:
    """The ports whose rates a policy decides: those that have it, and those of its networks."""
    _, networks = qos_users(connection, policy_id)
    own = port_list(connection, {"qos_policy_id": (policy_id,)})
    theirs = port_list(connection, {"network_id": networks}) if networks else ()
    return (*own, *(port for port in theirs if not port.qos_policy_id))


def _check_unshare(connection: sa.Connection, present: QosPolicyRecord) -> None:
    ports, networks = qos_users(connection, present.id)
    for table, ids in ((tables.port, ports), (tables.network, networks)):
        owners = connection.execute(
            sa.select(table.c.id, table.c.project_id).where(table.c.id.in_(ids))
        )
        foreign = [row.id for row in owners if row.project_id != present.project_id]
        if foreign:
            raise Conflict(
                f"QoS policy {present.id} cannot be unshared: {table.name} {foreign[0]} of "
                "another project has it",
                code="InvalidSharedSetting",
            )


def _rule(
    connection: sa.Connection,
    caller: Caller,
    kind: RuleType,
    rule_id: str,
    policy_id: str | None,
) -> tuple[QosPolicyRecord, QosRule]:
    """A policy's rule; policies are looked through when none is named, since they are few."""
    if policy_id is None:
        policies = qos_policy_list(connection, project_id=scope(caller))
    else:
        policies = (visible_policy(connection, caller, policy_id),)
    for policy in policies:
        for rule in policy.rules:
            if (rule.id, rule.type) == (rule_id, kind):
                return policy, rule
    raise _no_rule(rule_id, policy_id)


def _place(rules: Sequence[QosRule], policy_id: str, kind: RuleType, rule_id: str) -> int:
    for place, rule in enumerate(rules):
        if (rule.id, rule.type) == (rule_id, kind):
            return place
    raise _no_rule(rule_id, policy_id)


def _no_rule(rule_id: str, policy_id: str | None) -> NotFound:
    of = f" for policy {policy_id}" if policy_id else ""
    return NotFound(f"QoS rule {rule_id}{of} could not be found", code="QosRuleNotFound")
