"""Whether devices let their server move to another host while it runs."""

from __future__ import annotations

from collections.abc import Sequence

from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.pci.request import DeviceRequest, RequestSource


def check_live_migration(
    requests: Sequence[DeviceRequest], *, ports_bind_twice: bool, hosts_can: bool
) -> None:
    """Make sure that a server with these requests may move live.

    A flavor's device moves with its state, so the alias has to ask for such ones, each of its
    alternatives. A port's VF is taken out before and put in again after, for which the port is
    bound at both hosts at once; that is asked only of servers with such ports.

    Args:
        requests: the server's.
        ports_bind_twice: whether a port can be bound at two hosts at once.
        hosts_can: whether both hosts know how to move such ports.

    Raises:
        Conflict: it may not; the request that stands against it is named.

    Source: nova ``conductor/tasks/live_migrate.py``, _check_can_migrate_pci.
    """
    for request in requests:
        if request.source is RequestSource.FLAVOR and not all(
            one.live_migratable for one in request.alternatives
        ):
            raise Conflict(
                f"devices of alias {request.alias_name} cannot move with their state",
                hint='they can where the alias says "live_migratable": "yes" and devices do, too',
            )
    if any(request.source is RequestSource.PORT for request in requests):
        if not ports_bind_twice:
            raise Conflict("ports of this server cannot be bound at two hosts at once")
        if not hosts_can:
            raise Conflict("source and destination do not both know how to move ports with VFs")
