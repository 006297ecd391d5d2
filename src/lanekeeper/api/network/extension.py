"""``/v2.0/extensions``: what is announced is what is there.

Source: neutron-lib ``api/definitions``; names and aliases are those of the same extensions there.
"""

from __future__ import annotations

from typing import Any

from lanekeeper.api.network.listing import View
from lanekeeper.api.row import ANYONE, Call, Policy, Row
from lanekeeper.domain.errors import NotFound

_EXTENSIONS = {
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "binding-extended": "Port Bindings Extended",
    "data-plane-status": "Port data plane status extension",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "filter-validation": "Filter parameters validation",
    "ip_allocation": "IP Allocation",
    "ip-substring-filtering": "IP address substring filtering",
    "multi-provider": "Multi Provider Network",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "pagination": "Pagination support",
    "port-numa-affinity-policy": "Port NUMA affinity policy",
    "port-resource-request": "Port Resource Request",
    "port-resource-request-groups": "Port Resource Request Groups",
    "port-security": "Port Security",
    "port-trusted-vif": "Port trusted vif",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "qos": "Quality of Service",
    "qos-bw-limit-direction": "Direction for QoS bandwidth limit rule",
    "qos-bw-minimum-ingress": "Ingress direction for QoS minimum bandwidth rule",
    "qos-default": "QoS default policy",
    "qos-rule-type-details": "Details of QoS rule types",
    "qos-rules-alias": "Ability to use alias of QoS rules",
    "quota-check-limit": "Quota engine limit check",
    "quota-check-limit-default": "Quota engine limit check by default",
    "quotas": "Quota management support",
    "quota_details": "Quota details management support",
    "rbac-policies": "RBAC Policies",
    "revision-if-match": "If-Match constraints based on revision_number",
    "security-group": "security-group",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute",
    "standard-attr-timestamp": "Resource timestamps",
    "stateful-security-group": "Stateful security group",
    "tag-ports-during-bulk-creation": "Tag Ports During Bulk Creation",
    "uplink-status-propagation": "Uplink Status Propagation",
    "uplink-status-propagation-updatable": "Uplink Status Propagation Updatable",
}


def _view(alias: str) -> View:
    return {
        "alias": alias,
        "name": _EXTENSIONS[alias],
        "description": _EXTENSIONS[alias],
        "updated": "2026-01-01T00:00:00-00:00",
        "links": [],
    }


def list_(call: Call[None]) -> View:
    """List extensions."""
    return {"extensions": [_view(alias) for alias in _EXTENSIONS]}


def show(call: Call[None]) -> View:
    """Show an extension."""
    alias = call.path["alias"]
    if alias not in _EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", code="ExtensionNotFound")
    return {"extension": _view(alias)}


_ANY = Policy("get_extension", ANYONE)
ROWS: tuple[Row[Any], ...] = (
    Row(method="GET", path="/v2.0/extensions", handler=list_, policy=_ANY),
    Row(method="GET", path="/v2.0/extensions/{alias}", handler=show, policy=_ANY),
)
