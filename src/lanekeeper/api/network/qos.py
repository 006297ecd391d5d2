"""QoS policies: none yet, said in so many words."""

from __future__ import annotations

from lanekeeper.domain.errors import NotFound


def no_policy(policy_id: str | None) -> None:
    """Let null pass, which takes a policy away.

    Raises:
        NotFound: code QosPolicyNotFound; any policy that is named.
    """
    if policy_id is not None:
        raise NotFound(f"QoS policy {policy_id} could not be found", code="QosPolicyNotFound")
