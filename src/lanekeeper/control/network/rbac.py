"""RBAC policies of networks: what a caller can want of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from lanekeeper.control.caller import Caller
from lanekeeper.control.network.quota import within_network_quota
from lanekeeper.control.network.scope import missing, owner_of_new, owns, scope
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict, Invalid
from lanekeeper.domain.network.network import EVERYBODY, NetworkRecord
from lanekeeper.domain.network.quota import Resource
from lanekeeper.domain.network.rbac import RbacRecord, strangers
from lanekeeper.store.network.network import network_show
from lanekeeper.store.network.rbac import projects_on, rbac_delete, rbac_insert, rbac_list


def list_rbac(
    site: Site, caller: Caller, wanted: Mapping[str, Collection[str]]
) -> tuple[RbacRecord, ...]:
    """*caller*'s own policies, all of them for admins; narrowed by columns."""
    with site.database.read() as connection:
        return rbac_list(connection, wanted, project_id=scope(caller))


def show_rbac(site: Site, caller: Caller, rbac_id: str) -> RbacRecord:
    """One policy.

    Raises:
        NotFound: code RbacPolicyNotFound.
    """
    with site.database.read() as connection:
        return _visible(connection, caller, rbac_id)


def create_rbac(
    site: Site, caller: Caller, network_id: str, target_project: str, project_id: str | None = None
) -> RbacRecord:
    """Share a network with a project, or with everybody.

    Raises:
        NotFound: code NetworkNotFound.
        Invalid: code InvalidInput; *caller* sees the network and does not own it.
        Conflict: code DuplicateRbacPolicy.
        Forbidden: for another project.
    """

    def work(connection: sa.Connection) -> RbacRecord:
        network = network_show(connection, network_id, project_id=scope(caller))
        if network is None:
            raise missing("Network", network_id)
        _check_owner(caller, network)
        owner = owner_of_new(caller, project_id, "rbac_policy")
        with within_network_quota(connection, site, owner, Resource.RBAC_POLICY):
            made = rbac_insert(connection, network_id, owner, target_project)
        if made is None:
            raise _duplicate(network_id, target_project)
        return made

    return site.database.write(work)


def update_rbac(site: Site, caller: Caller, rbac_id: str, target_project: str) -> RbacRecord:
    """Share the network with another project in place of this one.

    Raises:
        NotFound: code RbacPolicyNotFound.
        Conflict: codes RbacPolicyInUse, DuplicateRbacPolicy.
    """

    def work(connection: sa.Connection) -> RbacRecord:
        present = _visible(connection, caller, rbac_id)
        if present.target_project == target_project:
            return present
        network = _network(connection, present)
        _check_owner(caller, network)
        rbac_delete(connection, rbac_id)
        made = rbac_insert(
            connection, network.id, present.project_id, target_project, rbac_id=rbac_id
        )
        if made is None:
            raise _duplicate(network.id, target_project)
        _check_unused(connection, network)
        return made

    return site.database.write(work)


def delete_rbac(site: Site, caller: Caller, rbac_id: str) -> None:
    """Share the network with that project no more.

    Raises:
        NotFound: code RbacPolicyNotFound.
        Conflict: code RbacPolicyInUse; the project has ports on the network.
    """

    def work(connection: sa.Connection) -> None:
        present = _visible(connection, caller, rbac_id)
        rbac_delete(connection, rbac_id)
        _check_unused(connection, _network(connection, present))

    site.database.write(work)


def share_with_everybody(
    connection: sa.Connection, present: NetworkRecord, *, shared: bool
) -> None:
    """Have a network shared with everybody, or not.

    Raises:
        Conflict: code InvalidSharedSetting; others have ports on it. The transaction must be left.
    """
    if shared:
        rbac_insert(connection, present.id, present.project_id, EVERYBODY)
        return
    wanted = {"network_id": (present.id,), "target_project": (EVERYBODY,)}
    for policy in rbac_list(connection, wanted):
        rbac_delete(connection, policy.id)
        if _left(connection, present):
            raise Conflict(
                f"network {present.id} cannot be unshared: other projects have ports on it",
                code="InvalidSharedSetting",
            )


def _check_unused(connection: sa.Connection, network: NetworkRecord) -> None:
    if left := _left(connection, network):
        raise Conflict(
            f"RBAC policy on object {network.id} cannot be removed because other objects depend on "
            f"it. Details: ports of project {', '.join(left[:3])} are on the network",
            hint="delete those ports first",
            code="RbacPolicyInUse",
        )


def _left(connection: sa.Connection, network: NetworkRecord) -> list[str]:
    """Projects that have ports on a network which is shared with them no more."""
    still = rbac_list(connection, {"network_id": (network.id,)})
    users = projects_on(connection, network.id)
    return strangers(users, network.project_id, [policy.target_project for policy in still])


def _check_owner(caller: Caller, network: NetworkRecord) -> None:
    if not owns(caller, network.project_id):
        raise Invalid(
            "Only admins can manipulate policies on networks they do not own", code="InvalidInput"
        )


def _network(connection: sa.Connection, policy: RbacRecord) -> NetworkRecord:
    network = network_show(connection, policy.network_id)
    assert network is not None, "a policy has a network"
    return network


def _visible(connection: sa.Connection, caller: Caller, rbac_id: str) -> RbacRecord:
    found = rbac_list(connection, {"id": (rbac_id,)}, project_id=scope(caller))
    if not found:
        raise missing("RbacPolicy", rbac_id)
    return found[0]


def _duplicate(network_id: str, target_project: str) -> Conflict:
    return Conflict(
        f"An RBAC policy already exists with those values: network {network_id} is shared with "
        f"{target_project}",
        code="DuplicateRbacPolicy",
    )
