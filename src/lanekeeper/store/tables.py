"""The tables. Truth is here; what can be derived is not stored.

Ids are text: Compute's, Network's and Placement's are UUIDs with dashes, Identity's without.
Moments are aware UTC in Python and UTC without zone in the database.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite and PostgreSQL then agree on order and equality."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


def _id() -> Column[str]:
    return Column("id", sa.Text, primary_key=True)


def _text(name: str, default: str = "") -> Column[str]:
    return Column(name, sa.Text, nullable=False, default=default)


def _flag(name: str, *, default: bool) -> Column[bool]:
    return Column(name, sa.Boolean, nullable=False, default=default)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, sa.BigInteger, nullable=False, default=default)


def _json(name: str, default: Any = dict) -> Column[Any]:
    return Column(name, sa.JSON, nullable=False, default=default)


# The installation ---------------------------------------------------------------------------------

token_key = Table(
    "token_key",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    _text("key"),
    Column("created_at", Moment, nullable=False),
    comment="Fernet keys; the newest signs, all verify.",
)
authority = Table(
    "authority",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    _text("certificate_pem"),
    _text("key_pem"),
    comment="The CA that signs the controllers' certificates; made on the first start.",
)

# Identity -----------------------------------------------------------------------------------------

project = Table(
    "project",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False),
    _text("domain_id", "default"),
    _text("description"),
    _flag("enabled", default=True),
    UniqueConstraint("domain_id", "name"),
)
user = Table(
    "user",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False),
    _text("domain_id", "default"),
    _text("description"),
    _text("email"),
    _text("password_hash"),
    _flag("enabled", default=True),
    Column("default_project_id", sa.Text),
    Column("password_changed_at", Moment),
    UniqueConstraint("domain_id", "name"),
)
role = Table(
    "role",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False, unique=True),
    _text("description"),
)
assignment = Table(
    "assignment",
    metadata,
    Column("user_id", sa.Text, ForeignKey("user.id", ondelete="CASCADE"), primary_key=True),
    Column("role_id", sa.Text, ForeignKey("role.id", ondelete="CASCADE"), primary_key=True),
    Column("scope", sa.Text, primary_key=True),
    Column("target_id", sa.Text, primary_key=True),
    comment="scope is project, domain or system; target_id the project's or domain's id, or 'all'.",
)
application_credential = Table(
    "application_credential",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False),
    Column("user_id", sa.Text, ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", sa.Text, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    _text("secret_hash"),
    _text("description"),
    _json("roles", list),
    _flag("unrestricted", default=False),
    Column("expires_at", Moment),
    UniqueConstraint("user_id", "name"),
)
revocation = Table(
    "revocation",
    metadata,
    Column("audit_id", sa.Text, primary_key=True),
    Column("expires_at", Moment, nullable=False),
    comment="Tokens revoked one by one; a row lives as long as the token would have.",
)

# Hosts --------------------------------------------------------------------------------------------

host = Table(
    "host",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False, unique=True),
    _text("credential_hash"),
    _flag("enabled", default=True),
    _text("disabled_reason"),
    _text("frozen_reason"),
    _text("frozen_after"),
    _number("generation", 1),
    _text("mark"),
    _text("obeyed"),
    _json("facts"),
    Column("facts_at", Moment),
    Column("seen_at", Moment),
    Column("created_at", Moment, nullable=False),
    comment="id is also the compute-node provider's, the hypervisor's and the service's.",
)
desired_mark = Table(
    "desired_mark",
    metadata,
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", sa.BigInteger, primary_key=True),
    _text("mark"),
    comment="Marks given out since the one that the agent last obeyed.",
)
enrolment = Table(
    "enrolment",
    metadata,
    Column("token_hash", sa.Text, primary_key=True),
    _text("host_name"),
    Column("expires_at", Moment, nullable=False),
    Column("used_by", sa.Text),
)

# Devices ------------------------------------------------------------------------------------------

device = Table(
    "device",
    metadata,
    _id(),
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), nullable=False),
    Column("address", sa.Text, nullable=False),
    Column("pf_id", sa.Text, ForeignKey("device.id"), index=True),
    Column("vendor_id", sa.Text, nullable=False),
    Column("product_id", sa.Text, nullable=False),
    Column("dev_type", sa.Text, nullable=False),
    Column("vf_index", sa.Integer),
    Column("numa_node", sa.Integer),
    Column("iommu_group", sa.Integer),
    Column("driver", sa.Text),
    Column("netdev", sa.Text),
    Column("mac", sa.Text),
    Column("serial", sa.Text),
    Column("label", sa.Text),
    _flag("listed", default=True),
    _flag("present", default=True),
    Column("entry", sa.Integer),
    _json("tags"),
    Column("physical_network", sa.Text),
    Column("resource_class", sa.Text),
    Column("provider_id", sa.Text, index=True),
    Column("state", sa.Text, nullable=False),
    _text("state_reason"),
    _number("cleaning_round"),
    _number("generation"),
    Column("state_at", Moment, nullable=False),
    CheckConstraint("state IN ('available', 'held', 'cleaning', 'quarantined')", name="state"),
    Index(
        "uq_device_host_address_present",
        "host_id",
        "address",
        unique=True,
        sqlite_where=sa.text("present"),
        postgresql_where=sa.text("present"),
    ),
    comment="One PCI function. Its identity (serial, slot) is in columns, its id is a surrogate.",
)
card = Table(
    "card",
    metadata,
    Column("pf_device_id", sa.Text, ForeignKey("device.id", ondelete="CASCADE"), primary_key=True),
    Column("whole_holder", sa.Text),
    _number("parts_held"),
    CheckConstraint("whole_holder IS NULL OR parts_held = 0", name="whole_or_parts"),
    CheckConstraint("parts_held >= 0", name="parts"),
    comment="The arbiter between a PF and its VFs.",
)
claim = Table(
    "claim",
    metadata,
    Column("device_id", sa.Text, ForeignKey("device.id"), primary_key=True),
    Column("consumer_id", sa.Text, nullable=False, index=True),
    Column("request_id", sa.Text, nullable=False),
    Column("index", sa.Integer, nullable=False, default=0),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("consumer_id", "request_id", "index"),
    comment="Who holds a device. A device has one holder because this key says so.",
)

# Placement ----------------------------------------------------------------------------------------

resource_provider = Table(
    "resource_provider",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False, unique=True),
    Column("parent_id", sa.Text, ForeignKey("resource_provider.id")),
    Column("root_id", sa.Text, nullable=False, index=True),
    _number("generation"),
    _text("owner", "api"),
    Column("host_id", sa.Text, ForeignKey("host.id", ondelete="CASCADE"), index=True),
    Column("updated_at", Moment, nullable=False),
    comment="owner: api (made by a client, theirs whole), host, or device (inventory is derived).",
)
inventory = Table(
    "inventory",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("resource_class", sa.Text, primary_key=True),
    _number("total"),
    _number("reserved"),
    _number("min_unit", 1),
    _number("max_unit", 2**31 - 1),
    _number("step_size", 1),
    Column("allocation_ratio", sa.Float, nullable=False, default=1.0),
    _number("capacity"),
    _number("used"),
    Column("updated_at", Moment, nullable=False),
    CheckConstraint("used >= 0", name="used"),
    comment="Classes that devices do not own; capacity = int((total - reserved) * ratio).",
)
allocation = Table(
    "allocation",
    metadata,
    Column("consumer_id", sa.Text, primary_key=True),
    Column(
        "provider_id", sa.Text, ForeignKey("resource_provider.id"), primary_key=True, index=True
    ),
    Column("resource_class", sa.Text, primary_key=True),
    _number("used"),
    comment="Classes that devices do not own; those of devices are a view over claims.",
)
consumer = Table(
    "consumer",
    metadata,
    _id(),
    _text("project_id"),
    _text("user_id"),
    Column("type", sa.Text),
    _number("generation"),
    Column("updated_at", Moment, nullable=False),
)
resource_class = Table("resource_class", metadata, Column("name", sa.Text, primary_key=True))
trait = Table("trait", metadata, Column("name", sa.Text, primary_key=True))
provider_trait = Table(
    "provider_trait",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("trait", sa.Text, primary_key=True),
)
provider_aggregate = Table(
    "provider_aggregate",
    metadata,
    Column(
        "provider_id",
        sa.Text,
        ForeignKey("resource_provider.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("aggregate_id", sa.Text, primary_key=True),
)

# Images -------------------------------------------------------------------------------------------

image = Table(
    "image",
    metadata,
    _id(),
    Column("name", sa.Text),
    Column("status", sa.Text, nullable=False),
    Column("owner", sa.Text, nullable=False, index=True),
    _text("visibility", "shared"),
    Column("disk_format", sa.Text),
    Column("container_format", sa.Text),
    Column("size_bytes", sa.BigInteger),
    Column("virtual_size_bytes", sa.BigInteger),
    Column("md5", sa.Text),
    Column("sha512", sa.Text),
    _number("min_disk_gib"),
    _number("min_ram_mib"),
    _flag("protected", default=False),
    _flag("hidden", default=False),
    _json("properties"),
    _json("tags", list),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# Network ------------------------------------------------------------------------------------------

network = Table(
    "network",
    metadata,
    _id(),
    _text("name"),
    Column("project_id", sa.Text, nullable=False, index=True),
    _text("description"),
    _flag("admin_state_up", default=True),
    _flag("shared", default=False),
    _flag("external", default=False),
    _flag("port_security_enabled", default=True),
    _number("mtu", 1500),
    _json("tags", list),
    _number("revision", 1),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
segment = Table(
    "segment",
    metadata,
    _id(),
    Column(
        "network_id",
        sa.Text,
        ForeignKey("network.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("network_type", sa.Text, nullable=False),
    Column("physical_network", sa.Text),
    Column("segmentation_id", sa.Integer),
    _number("position"),
    UniqueConstraint("physical_network", "segmentation_id"),
    Index(
        "uq_segment_flat",
        "physical_network",
        unique=True,
        sqlite_where=sa.text("network_type = 'flat'"),
        postgresql_where=sa.text("network_type = 'flat'"),
    ),
    comment="A VLAN id is used once per physical network because the key says so.",
)
subnet = Table(
    "subnet",
    metadata,
    _id(),
    Column(
        "network_id",
        sa.Text,
        ForeignKey("network.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    _text("name"),
    Column("project_id", sa.Text, nullable=False, index=True),
    _text("description"),
    Column("ip_version", sa.Integer, nullable=False),
    Column("cidr", sa.Text, nullable=False),
    Column("gateway_ip", sa.Text),
    _flag("enable_dhcp", default=True),
    _json("allocation_pools", list),
    _json("dns_nameservers", list),
    _json("host_routes", list),
    Column("ipv6_ra_mode", sa.Text),
    Column("ipv6_address_mode", sa.Text),
    _json("tags", list),
    _number("revision", 1),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)
port = Table(
    "port",
    metadata,
    _id(),
    Column("network_id", sa.Text, ForeignKey("network.id"), nullable=False, index=True),
    _text("name"),
    Column("project_id", sa.Text, nullable=False, index=True),
    _text("description"),
    Column("mac_address", sa.Text, nullable=False),
    _flag("admin_state_up", default=True),
    _text("status", "DOWN"),
    _text("device_id"),
    _text("device_owner"),
    _text("vnic_type", "normal"),
    _text("binding_host"),
    _json("binding_profile"),
    _text("vif_type", "unbound"),
    _json("vif_details"),
    _text("binding_failure"),
    _flag("port_security_enabled", default=True),
    _flag("propagate_uplink_status", default=True),
    Column("trusted", sa.Boolean),
    Column("numa_affinity_policy", sa.Text),
    _json("allowed_address_pairs", list),
    _json("security_groups", list),
    _json("extra_dhcp_opts", list),
    _text("dns_name"),
    _flag("created_by_server", default=False),
    _json("tags", list),
    _number("revision", 1),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("network_id", "mac_address"),
    Index("ix_port_device_id", "device_id"),
    comment="binding_host is a host's name, as clients write it; binding_failure says why not.",
)
address = Table(
    "address",
    metadata,
    Column("subnet_id", sa.Text, ForeignKey("subnet.id"), primary_key=True),
    Column("ip", sa.Text, primary_key=True),
    Column(
        "port_id", sa.Text, ForeignKey("port.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    _number("position"),
    comment="An address is given once because the key says so.",
)
security_group = Table(
    "security_group",
    metadata,
    _id(),
    _text("name"),
    Column("project_id", sa.Text, nullable=False, index=True),
    _text("description"),
    _flag("stateful", default=True),
    _json("rules", list),
    _json("tags", list),
    _number("revision", 1),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

# Compute ------------------------------------------------------------------------------------------

flavor = Table(
    "flavor",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False, unique=True),
    _number("vcpus"),
    _number("ram_mib"),
    _number("disk_gib"),
    _number("ephemeral_gib"),
    _number("swap_mib"),
    Column("rxtx_factor", sa.Float, nullable=False, default=1.0),
    _flag("is_public", default=True),
    _flag("disabled", default=False),
    Column("description", sa.Text),
    _json("extra_specs"),
    Column("created_at", Moment, nullable=False),
)
flavor_access = Table(
    "flavor_access",
    metadata,
    Column("flavor_id", sa.Text, ForeignKey("flavor.id", ondelete="CASCADE"), primary_key=True),
    Column("project_id", sa.Text, primary_key=True),
)
keypair = Table(
    "keypair",
    metadata,
    Column("user_id", sa.Text, primary_key=True),
    Column("name", sa.Text, primary_key=True),
    Column("number", sa.Integer, nullable=False, unique=True),
    _text("type", "ssh"),
    _text("public_key"),
    _text("fingerprint"),
    Column("created_at", Moment, nullable=False),
)
host_aggregate = Table(
    "host_aggregate",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("uuid", sa.Text, nullable=False, unique=True),
    Column("name", sa.Text, nullable=False, unique=True),
    _json("metadata"),
    _json("hosts", list),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    comment="hosts holds names, as the API does; availability_zone is a metadata key.",
)
server = Table(
    "server",
    metadata,
    _id(),
    Column("name", sa.Text, nullable=False),
    Column("project_id", sa.Text, nullable=False, index=True),
    Column("user_id", sa.Text, nullable=False),
    _text("description"),
    _text("hostname"),
    Column("host_id", sa.Text, ForeignKey("host.id"), index=True),
    _text("availability_zone"),
    _json("flavor"),
    Column("image_id", sa.Text),
    _json("image_properties"),
    Column("key_name", sa.Text),
    Column("public_key", sa.Text),
    Column("user_data", sa.Text),
    _flag("config_drive", default=True),
    _json("metadata"),
    _json("tags", list),
    _json("scheduler_hints"),
    _json("device_requests", list),
    _json("port_ids", list),
    Column("pinned_zone", sa.Text),
    _text("access_ip_v4"),
    _text("access_ip_v6"),
    _text("disk_config", "MANUAL"),
    _text("reservation_id"),
    _number("launch_index"),
    _flag("locked", default=False),
    Column("locked_reason", sa.Text),
    Column("vm_state", sa.Text, nullable=False),
    Column("task_state", sa.Text),
    _number("power_state"),
    Column("wanted", sa.Text, nullable=False),
    _number("generation", 1),
    _number("reboots"),
    Column("fault", sa.JSON(none_as_null=True)),
    Column("console_wanted_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("launched_at", Moment),
    Column("terminated_at", Moment),
    CheckConstraint("wanted IN ('running', 'stopped', 'absent')", name="wanted"),
    comment="A row goes when its host has reported the guest absent; what is deleted is gone.",
)
server_event = Table(
    "server_event",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("server_id", sa.Text, nullable=False, index=True),
    _text("request_id"),
    _text("action"),
    _text("project_id"),
    _text("user_id"),
    _text("message"),
    _json("detail"),
    Column("at", Moment, nullable=False),
    comment="What was asked of a server and what came of it; kept after the server has gone.",
)
console = Table(
    "console",
    metadata,
    Column("server_id", sa.Text, primary_key=True),
    _text("text"),
    Column("at", Moment, nullable=False),
)
