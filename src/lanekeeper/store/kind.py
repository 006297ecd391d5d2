"""Whose database this is: one program of ours does not work on another's, nor on a stranger's."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa

from lanekeeper.domain.errors import Invalid, some

_NAMED = 3
_PLACEMENTS_OWN = frozenset({"resource_providers", "placement_aggregates", "consumers"})
"""Tables of OpenStack Placement; source: placement ``db/sqlalchemy/models.py``."""
_OURS = frozenset({"resource_provider", "device", "change_log"})


class Kind(StrEnum):
    """The programs that keep a database."""

    CONTROLLER = "lanekeeper controller"
    PLACEMENT = "lanekeeper placement"


def check_kind(connection: sa.Connection, kind: Kind, *, ours: bool) -> None:
    """Make sure that *kind* may work with a database; one that is empty is anybody's.

    Args:
        connection: sees the database as it was found.
        kind: who wants to.
        ours: it has tables that one of these programs has made.

    Raises:
        Invalid: it belongs to something else, which is named.
    """
    if not ours:
        _check_empty(connection, kind)
        return
    there = _kind_of(connection)
    if there not in (None, kind):
        raise Invalid(
            f"the database is one of {there}, not of {kind}",
            hint=f"nothing was changed; name an empty database, or that of this {kind}",
        )


def _kind_of(connection: sa.Connection) -> Kind | None:
    """Who has made something in it; None where nobody has yet.

    A controller has users from its first start on, Placement alone never has.
    """
    if connection.execute(sa.text('SELECT 1 FROM "user" LIMIT 1')).first():
        return Kind.CONTROLLER
    if connection.execute(sa.text("SELECT 1 FROM resource_provider LIMIT 1")).first():
        return Kind.PLACEMENT
    return None


def _check_empty(connection: sa.Connection, kind: Kind) -> None:
    tables = sorted(sa.inspect(connection).get_table_names())
    if not tables or {*tables} >= _OURS:  # a later version's, which is told by its revision
        return
    if {*tables} >= _PLACEMENTS_OWN:
        raise Invalid(
            "the database is OpenStack Placement's own, which is never written here",
            hint="name an empty database for this program, and copy what is in that one through "
            "its API: lanekeeper inventory import --placement URL",
        )
    named = some(tables, _NAMED)
    raise Invalid(
        f"the database belongs to something else: it has the tables {named}",
        hint=f"nothing was changed; make an empty database for {kind} and name that",
    )
