"""Which controllers have the bytes of an image, and where those controllers answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from lanekeeper.store.tables import controller, image_copy


@dataclass(frozen=True, slots=True)
class Holder:
    """A controller that has the bytes of an image.

    Attributes:
        machine: the name of the machine that it runs on; empty when it never said.
        url: where it answers other controllers; empty when it never said.
    """

    id: str
    machine: str
    url: str


def controller_put(
    connection: sa.Connection, controller_id: str, machine: str, url: str, now: datetime
) -> None:
    """Say where a controller answers from now on."""
    told = {"machine": machine, "url": url, "started_at": now}
    known = connection.execute(
        controller.update().where(controller.c.id == controller_id).values(told)
    )
    if known.rowcount == 0:
        connection.execute(controller.insert().values(id=controller_id, **told))


def controller_forget_others(connection: sa.Connection, controller_id: str) -> None:
    """Forget all controllers but one, and what they have; for a database that has only one."""
    connection.execute(image_copy.delete().where(image_copy.c.controller_id != controller_id))
    connection.execute(controller.delete().where(controller.c.id != controller_id))


def image_copy_add(connection: sa.Connection, image_id: str, controller_id: str) -> None:
    """Note that a controller has the bytes; a second time changes nothing.

    The image's row must be held by the transaction, so that no deletion comes between.
    """
    key = {"image_id": image_id, "controller_id": controller_id}
    noted = connection.scalar(sa.select(image_copy.c.image_id).filter_by(**key))
    if noted is None:
        connection.execute(image_copy.insert().values(**key))


def image_copy_drop(connection: sa.Connection, image_id: str, controller_id: str) -> None:
    connection.execute(
        image_copy.delete().where(
            image_copy.c.image_id == image_id, image_copy.c.controller_id == controller_id
        )
    )


def image_holders(connection: sa.Connection, image_id: str) -> list[Holder]:
    """Controllers that have the bytes, those that were started last first."""
    places = image_copy.outerjoin(controller, controller.c.id == image_copy.c.controller_id)
    query = (
        sa.select(
            image_copy.c.controller_id,
            sa.func.coalesce(controller.c.machine, ""),
            sa.func.coalesce(controller.c.url, ""),
        )
        .select_from(places)
        .where(image_copy.c.image_id == image_id)
        .order_by(controller.c.started_at.desc(), image_copy.c.controller_id)
    )
    return [Holder(*row) for row in connection.execute(query)]
