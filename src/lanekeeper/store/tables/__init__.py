"""The tables. Truth is here; what can be derived is not stored.

Ids are text: Compute's, Network's and Placement's are UUIDs with dashes, Identity's without.
Moments are aware UTC in Python and UTC without zone in the database. All tables are named here, so
that ``metadata`` is whole wherever one of them is imported.
"""

from lanekeeper.store.tables.change_log import change_log, change_log_start
from lanekeeper.store.tables.column import Moment, metadata
from lanekeeper.store.tables.compute import (
    console,
    ended_server,
    flavor,
    flavor_access,
    host_aggregate,
    keypair,
    server,
    server_event,
    server_group,
    server_group_member,
)
from lanekeeper.store.tables.device import (
    card,
    claim,
    device,
    device_event,
    device_health,
    quarantine,
)
from lanekeeper.store.tables.host import desired_mark, enrolment, frozen_report, host
from lanekeeper.store.tables.identity import (
    application_credential,
    assignment,
    authority,
    project,
    project_limit,
    registered_limit,
    revocation,
    role,
    token_key,
    user,
)
from lanekeeper.store.tables.image import controller, image, image_copy
from lanekeeper.store.tables.network import (
    address,
    network,
    network_quota,
    network_rbac,
    port,
    port_binding,
    port_vf,
    qos_policy,
    security_group,
    segment,
    subnet,
)
from lanekeeper.store.tables.placement import (
    allocation,
    consumer,
    inventory,
    provider_aggregate,
    provider_trait,
    resource_class,
    resource_provider,
    trait,
)
from lanekeeper.store.tables.topology import cell_claim, cell_stock, pinned_cpu

__all__ = [
    "Moment",
    "address",
    "allocation",
    "application_credential",
    "assignment",
    "authority",
    "card",
    "cell_claim",
    "cell_stock",
    "change_log",
    "change_log_start",
    "claim",
    "console",
    "consumer",
    "controller",
    "desired_mark",
    "device",
    "device_event",
    "device_health",
    "ended_server",
    "enrolment",
    "flavor",
    "flavor_access",
    "frozen_report",
    "host",
    "host_aggregate",
    "image",
    "image_copy",
    "inventory",
    "keypair",
    "metadata",
    "network",
    "network_quota",
    "network_rbac",
    "pinned_cpu",
    "port",
    "port_binding",
    "port_vf",
    "project",
    "project_limit",
    "provider_aggregate",
    "provider_trait",
    "qos_policy",
    "quarantine",
    "registered_limit",
    "resource_class",
    "resource_provider",
    "revocation",
    "role",
    "security_group",
    "segment",
    "server",
    "server_event",
    "server_group",
    "server_group_member",
    "subnet",
    "token_key",
    "trait",
    "user",
]
