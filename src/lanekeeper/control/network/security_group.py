"""Security groups and their rules: what a caller can want of them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.quota import within_network_quota
from lanekeeper.control.network.scope import missing, owner_of_new, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.network.quota import Resource
from lanekeeper.domain.network.security_group import (
    DEFAULT,
    RuleWanted,
    SecurityGroupRecord,
    plan_rule,
    same_rule,
)
from lanekeeper.store import tables
from lanekeeper.store.network.security_group import (
    Rules,
    new_rule,
    security_group_change_rules,
    security_group_default,
    security_group_delete,
    security_group_insert,
    security_group_list,
    security_group_of_rule,
    security_group_users,
)
from lanekeeper.store.row import row_update

RULES_MAX = 500
"""Rules in one group; the API reads and writes them together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupWanted:
    """What a request says of a new group, checked for its types only."""

    name: str = ""
    description: str = ""
    project_id: str | None = None
    stateful: bool = True


def list_security_groups(
    site: Site, caller: Caller, wanted: Mapping[str, Collection[str]]
) -> tuple[SecurityGroupRecord, ...]:
    """What *caller* sees, oldest first; the project's default group is made when it is missing."""
    ensure_default(site, caller)
    with site.database.read() as connection:
        return security_group_list(connection, wanted, project_id=scope(caller))


def show_security_group(site: Site, caller: Caller, group_id: str) -> SecurityGroupRecord:
    """One group.

    Raises:
        NotFound: code SecurityGroupNotFound.
    """
    with site.database.read() as connection:
        return _visible(connection, caller, group_id)


def create_security_groups(
    site: Site, caller: Caller, wanted: Sequence[SecurityGroupWanted]
) -> tuple[SecurityGroupRecord, ...]:
    """Make all groups, or none.

    Raises:
        Conflict: code SecurityGroupDefaultAlreadyExists; nobody makes a group named default.
        Forbidden: for another project.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> tuple[SecurityGroupRecord, ...]:
        return tuple(_create(connection, site, caller, one, now) for one in wanted)

    return site.database.write(work)


def update_security_group(
    site: Site,
    caller: Caller,
    group_id: str,
    values: Mapping[str, Any],
    revision: int | None = None,
) -> SecurityGroupRecord:
    """Change a group's name, description or statefulness.

    Raises:
        NotFound: code SecurityGroupNotFound.
        Stale: the revision is another one.
        Conflict: codes SecurityGroupCannotUpdateDefault, SecurityGroupInUse; what ports have
            stays stateful or stateless.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> SecurityGroupRecord:
        present = _visible(connection, caller, group_id)
        if present.name == DEFAULT and values.get("name", DEFAULT) != DEFAULT:
            raise Conflict(
                "the default security group keeps its name",
                code="SecurityGroupCannotUpdateDefault",
            )
        if values.get("stateful", present.stateful) != present.stateful:
            _check_unused(connection, group_id)
        row_update(connection, tables.security_group, group_id, values, now=now, revision=revision)
        return _visible(connection, caller, group_id)

    return site.database.write(work)


def delete_security_group(
    site: Site, caller: Caller, group_id: str, revision: int | None = None
) -> None:
    """Delete a group that no port names.

    Raises:
        NotFound: code SecurityGroupNotFound.
        Conflict: codes SecurityGroupInUse, SecurityGroupCannotRemoveDefault.
    """

    def work(connection: sa.Connection) -> None:
        present = _visible(connection, caller, group_id)
        if present.name == DEFAULT:
            raise Conflict(
                f"security group {group_id} is its project's default one and stays",
                code="SecurityGroupCannotRemoveDefault",
            )
        _check_unused(connection, group_id)
        security_group_delete(connection, group_id, revision=revision)

    site.database.write(work)


def create_rules(
    site: Site, caller: Caller, wanted: Sequence[RuleWanted]
) -> tuple[tuple[SecurityGroupRecord, Mapping[str, Any]], ...]:
    """Add all rules, or none; each comes back with its group.

    Raises:
        NotFound: the group, or the group that a rule names as remote.
        Invalid: a field is wrong.
        Conflict: code SecurityGroupRuleExists; or there are too many.
    """
    now = site.clock()

    def work(
        connection: sa.Connection,
    ) -> tuple[tuple[SecurityGroupRecord, Mapping[str, Any]], ...]:
        return tuple(_add(connection, site, caller, one, now) for one in wanted)

    return site.database.write(work)


def find_rule(
    site: Site, caller: Caller, rule_id: str
) -> tuple[SecurityGroupRecord, Mapping[str, Any]]:
    """One rule with its group.

    Raises:
        NotFound: code SecurityGroupRuleNotFound.
    """
    with site.database.read() as connection:
        return _rule(connection, caller, rule_id)


def delete_rule(site: Site, caller: Caller, rule_id: str) -> None:
    """Take a rule out of its group.

    Raises:
        NotFound: code SecurityGroupRuleNotFound.
    """
    now = site.clock()

    def work(connection: sa.Connection) -> None:
        group, _ = _rule(connection, caller, rule_id)

        def without(rules: Rules) -> Rules:
            return [rule for rule in rules if rule["id"] != rule_id]

        security_group_change_rules(connection, group.id, without, now)

    site.database.write(work)


def ensure_default(site: Site, caller: Caller) -> None:
    """Make the default group of *caller*'s project if it is not there."""
    project_id = caller.project_id
    if project_id is None:
        return
    with site.database.read() as connection:
        mine = security_group_list(connection, {"name": (DEFAULT,)}, project_id=project_id)
    if not mine:
        now = site.clock()
        site.database.write(lambda connection: security_group_default(connection, project_id, now))


def _create(
    connection: sa.Connection,
    site: Site,
    caller: Caller,
    wanted: SecurityGroupWanted,
    now: datetime,
) -> SecurityGroupRecord:
    if wanted.name.lower() == DEFAULT:
        raise Conflict(
            "a project's default security group is made by itself",
            hint="choose another name",
            code="SecurityGroupDefaultAlreadyExists",
        )
    owner = owner_of_new(caller, wanted.project_id, "security_group")
    group_id = str(uuid.uuid4())
    with (
        within_network_quota(connection, site, owner, Resource.SECURITY_GROUP),
        within_network_quota(connection, site, owner, Resource.SECURITY_GROUP_RULE),
    ):
        security_group_insert(
            connection,
            group_id,
            owner,
            wanted.name,
            wanted.description,
            stateful=wanted.stateful,
            now=now,
        )
    return _visible(connection, caller, group_id)


def _add(
    connection: sa.Connection, site: Site, caller: Caller, wanted: RuleWanted, now: datetime
) -> tuple[SecurityGroupRecord, Mapping[str, Any]]:
    group = _visible(connection, caller, wanted.security_group_id)
    planned = plan_rule(wanted)
    if wanted.remote_group_id is not None:
        _visible(connection, caller, wanted.remote_group_id)
    rule = new_rule(planned, now)

    def append(rules: Rules) -> Rules:
        _check_new(rules, rule)
        return [*rules, rule]

    with within_network_quota(connection, site, group.project_id, Resource.SECURITY_GROUP_RULE):
        security_group_change_rules(connection, wanted.security_group_id, append, now)
    return _visible(connection, caller, wanted.security_group_id), rule


def _check_new(rules: Rules, rule: Mapping[str, Any]) -> None:
    for other in rules:
        if same_rule(other, rule):
            raise Conflict(
                f"Security group rule already exists. Rule id is {other['id']}",
                code="SecurityGroupRuleExists",
            )
    if len(rules) >= RULES_MAX:
        raise Conflict(f"a security group has at most {RULES_MAX} rules", code="OverQuota")


def _check_unused(connection: sa.Connection, group_id: str) -> None:
    if users := security_group_users(connection, group_id):
        raise Conflict(
            f"security group {group_id} is in use by ports: {', '.join(users[:3])}",
            hint="take it from those ports first",
            code="SecurityGroupInUse",
        )


def _rule(
    connection: sa.Connection, caller: Caller, rule_id: str
) -> tuple[SecurityGroupRecord, Mapping[str, Any]]:
    group = security_group_of_rule(connection, rule_id, project_id=scope(caller))
    if group is None:
        raise missing("SecurityGroupRule", rule_id)
    return group, next(rule for rule in group.rules if rule["id"] == rule_id)


def _visible(connection: sa.Connection, caller: Caller, group_id: str) -> SecurityGroupRecord:
    found = security_group_list(connection, {"id": (group_id,)}, project_id=scope(caller))
    if not found:
        raise missing("SecurityGroup", group_id)
    return found[0]
