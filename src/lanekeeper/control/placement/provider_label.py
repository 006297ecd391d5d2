"""What providers carry: their traits, and the aggregates that they are members of."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from lanekeeper.control.placement.resource_name import check_traits
from lanekeeper.control.placement.resource_provider import CONCURRENT, RACE, STALE, bump, existing
from lanekeeper.control.site import Site
from lanekeeper.domain.errors import Conflict
from lanekeeper.domain.placement.listing import ProviderRow
from lanekeeper.store.placement.hold import providers_hold
from lanekeeper.store.placement.resource_provider import (
    aggregates_of,
    aggregates_replace,
    traits_of,
    traits_replace,
)


def list_traits_of(site: Site, provider_id: str) -> tuple[ProviderRow, list[str]]:
    """A provider and its traits. Raises NotFound as ``show_provider``."""
    with site.database.read() as connection:
        return existing(connection, provider_id), traits_of(connection, provider_id)


def list_aggregates_of(site: Site, provider_id: str) -> tuple[ProviderRow, list[str]]:
    """A provider and its aggregates. Raises NotFound as ``show_provider``."""
    with site.database.read() as connection:
        return existing(connection, provider_id), aggregates_of(connection, provider_id)


def put_traits(site: Site, provider_id: str, generation: int | None, traits: set[str]) -> int:
    """Make *traits* the provider's own; a host's may be added to, a device's follow its entry.

    Returns:
        The provider's generation; it moves only where something changes.

    Raises:
        Conflict: stale generation, or the provider's traits follow a device.
        Invalid: a trait that does not exist.
        NotFound: no such provider.
    """

    def work(connection: sa.Connection) -> int:
        provider = existing(connection, provider_id)
        if provider.owner == "device":
            raise Conflict(
                f"the traits of {provider.name} follow its device_spec entry",
                hint="name them there: traits=CUSTOM_A,CUSTOM_B",
            )
        if provider.owner == "bandwidth":
            raise Conflict(
                f"the traits of {provider.name} follow the networks that its interface reaches",
                hint="[sriov_nic] physical_device_mappings of its host says which",
            )
        if generation not in (None, provider.generation):
            raise Conflict(STALE, code=CONCURRENT)
        check_traits(connection, traits)
        if set(traits_of(connection, provider_id)) == traits:
            return provider.generation
        moved = bump(connection, provider, None)
        traits_replace(connection, provider_id, traits)
        return moved

    return site.database.write(work)


def put_aggregates(
    site: Site, provider_id: str, generation: int | None, aggregates: set[str]
) -> int:
    """Make *aggregates* those that the provider belongs to.

    *generation* None neither checks the provider's nor moves it.

    Returns:
        The provider's generation.

    Raises:
        Conflict: stale generation.
        NotFound: no such provider.
    """

    def work(connection: sa.Connection) -> int:
        provider = existing(connection, provider_id)
        moved = provider.generation
        if generation is not None:
            if generation != provider.generation:
                raise Conflict(STALE, code=CONCURRENT)
            moved = bump(connection, provider, None)
        else:
            providers_hold(connection, [provider_id])
        aggregates_replace(connection, provider_id, aggregates)
        return moved

    try:
        return site.database.write(work)
    except IntegrityError as error:  # another request wrote the same memberships meanwhile
        raise Conflict(f"Update conflict: {RACE}", code=CONCURRENT) from error
