"""Devices whose cleaning failed: sent to be cleaned once more, on an operator's word."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from lanekeeper.domain.pci.device import DeviceState
from lanekeeper.store.tables import device


def device_clean_again(connection: sa.Connection, device_id: str, now: datetime) -> str | None:
    """Start a new cleaning round of a quarantined device.

    Returns its host's id; None when the device is not there or not quarantined.
    """
    host_id: str | None = connection.scalar(
        device.update()
        .where(device.c.id == device_id, device.c.state == DeviceState.QUARANTINED)
        .values(
            state=DeviceState.CLEANING,
            state_reason="",
            state_at=now,
            cleaning_round=device.c.cleaning_round + 1,
            generation=device.c.generation + 1,
        )
        .returning(device.c.host_id)
    )
    return host_id
