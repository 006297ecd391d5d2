"""The row of a server that is to be made: all that is known before it has a host."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from lanekeeper.control.caller import Caller
from lanekeeper.control.compute.server_order import Order
from lanekeeper.control.site import Site
from lanekeeper.domain.compute.server import TaskState, VmState, Wanted
from lanekeeper.store.compute.server import ServerRecord

_HOSTNAME_LENGTH = 63


def draft_server(
    site: Site, caller: Caller, order: Order, reservation_id: str, index: int
) -> ServerRecord:
    """One of the servers of an order, *index* counting from 0; it has no host yet."""
    asked, now = order.asked, site.clock()
    name = f"{asked.name}-{index + 1}" if asked.max_count > 1 else asked.name
    return ServerRecord(
        id=str(uuid.uuid4()),
        name=name,
        project_id=order.project_id,
        user_id=caller.user_id,
        description=asked.description,
        hostname=asked.hostname or hostname_of(name),
        pinned_zone=order.zone,
        flavor=order.flavor.embedded(),
        image_id=order.image.id,
        image_properties=dict(order.image.properties),
        key_name=asked.key_name,
        public_key=order.public_key,
        user_data=asked.user_data,
        config_drive=asked.config_drive,
        metadata=dict(asked.metadata),
        tags=list(asked.tags),
        scheduler_hints=dict(asked.hints),
        device_requests=requests_of(order, {}),
        access_ip_v4=asked.access_ip_v4,
        access_ip_v6=asked.access_ip_v6,
        disk_config=asked.disk_config,
        reservation_id=reservation_id,
        launch_index=index,
        vm_state=VmState.BUILDING,
        task_state=TaskState.SPAWNING,
        wanted=Wanted.RUNNING,
        created_at=now,
        updated_at=now,
    )


def requests_of(order: Order, request_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a server asked for, as its row keeps it; *request_ids* by need, where they differ."""
    return [
        {
            "id": request_ids.get(need.id, need.id),
            "name": need.name,
            "alias": need.request.alias_name,
            "count": need.request.count,
        }
        for need in order.request.needs
    ]


def hostname_of(name: str) -> str:
    """What a guest is called that its creator named *name*.

    Source: nova ``utils.py``, sanitize_hostname.
    """
    text = name.encode("latin-1", "ignore").decode("latin-1")
    text = re.sub(r"[ _\.]", "-", text)
    text = re.sub(r"[^\w.-]+", "", text, flags=re.ASCII).lower().strip(".-")
    return text[:_HOSTNAME_LENGTH].rstrip("-") or "server"
