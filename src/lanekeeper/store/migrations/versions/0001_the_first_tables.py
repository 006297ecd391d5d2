"""the first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import lanekeeper.store.tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authority",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("certificate_pem", sa.Text(), nullable=False),
        sa.Column("key_pem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authority")),
        comment="The CA that signs the controllers' certificates; made on the first start.",
    )
    op.create_table(
        "console",
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("server_id", name=op.f("pk_console")),
    )
    op.create_table(
        "consumer",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consumer")),
    )
    op.create_table(
        "enrolment",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("host_name", sa.Text(), nullable=False),
        sa.Column("expires_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("used_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_enrolment")),
    )
    op.create_table(
        "flavor",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vcpus", sa.BigInteger(), nullable=False),
        sa.Column("ram_mib", sa.BigInteger(), nullable=False),
        sa.Column("disk_gib", sa.BigInteger(), nullable=False),
        sa.Column("ephemeral_gib", sa.BigInteger(), nullable=False),
        sa.Column("swap_mib", sa.BigInteger(), nullable=False),
        sa.Column("rxtx_factor", sa.Float(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("extra_specs", sa.JSON(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flavor")),
        sa.UniqueConstraint("name", name=op.f("uq_flavor_name")),
    )
    op.create_table(
        "host",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("credential_hash", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), nullable=False),
        sa.Column("frozen_reason", sa.Text(), nullable=False),
        sa.Column("frozen_after", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("obeyed", sa.Text(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("facts_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.Column("seen_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("name", name=op.f("uq_host_name")),
        comment="id is also the compute-node provider's, the hypervisor's and the service's.",
    )
    op.create_table(
        "host_aggregate",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host_aggregate")),
        sa.UniqueConstraint("name", name=op.f("uq_host_aggregate_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_host_aggregate_uuid")),
        comment="hosts holds names, as the API does; availability_zone is a metadata key.",
    )
    op.create_table(
        "image",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("disk_format", sa.Text(), nullable=True),
        sa.Column("container_format", sa.Text(), nullable=True),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("virtual_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("md5", sa.Text(), nullable=True),
        sa.Column("sha512", sa.Text(), nullable=True),
        sa.Column("min_disk_gib", sa.BigInteger(), nullable=False),
        sa.Column("min_ram_mib", sa.BigInteger(), nullable=False),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("hidden", sa.Boolean(), nullable=False),
        sa.Column("properties", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
    )
    with op.batch_alter_table("image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_image_owner"), ["owner"], unique=False)

    op.create_table(
        "keypair",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_keypair")),
        sa.UniqueConstraint("number", name=op.f("uq_keypair_number")),
    )
    op.create_table(
        "network",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("external", sa.Boolean(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("mtu", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network")),
    )
    with op.batch_alter_table("network", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_network_project_id"), ["project_id"], unique=False)

    op.create_table(
        "project",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_project_domain_id_name")),
    )
    op.create_table(
        "resource_class",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_resource_class")),
    )
    op.create_table(
        "revocation",
        sa.Column("audit_id", sa.Text(), nullable=False),
        sa.Column("expires_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_revocation")),
        comment="Tokens revoked one by one; a row lives as long as the token would have.",
    )
    op.create_table(
        "role",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )
    op.create_table(
        "security_group",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group")),
    )
    with op.batch_alter_table("security_group", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_security_group_project_id"), ["project_id"], unique=False
        )

    op.create_table(
        "server_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("server_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server_event")),
        comment="What was asked of a server and what came of it; kept after the server has gone.",
    )
    with op.batch_alter_table("server_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_server_event_server_id"), ["server_id"], unique=False)

    op.create_table(
        "token_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token_key")),
        comment="Fernet keys; the newest signs, all verify.",
    )
    op.create_table(
        "trait",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_trait")),
    )
    op.create_table(
        "user",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domain_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("default_project_id", sa.Text(), nullable=True),
        sa.Column("password_changed_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_user_domain_id_name")),
    )
    op.create_table(
        "application_credential",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["project.id"],
            name=op.f("fk_application_credential_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user.id"],
            name=op.f("fk_application_credential_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_credential")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_application_credential_user_id_name")),
    )
    op.create_table(
        "assignment",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["role.id"], name=op.f("fk_assignment_role_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_assignment_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "role_id", "scope", "target_id", name=op.f("pk_assignment")
        ),
        comment="scope is project, domain or system; target_id the project's or domain's id, or 'all'.",
    )
    op.create_table(
        "desired_mark",
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_desired_mark_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", "generation", name=op.f("pk_desired_mark")),
        comment="Marks given out since the one that the agent last obeyed.",
    )
    op.create_table(
        "device",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("pf_id", sa.Text(), nullable=True),
        sa.Column("vendor_id", sa.Text(), nullable=False),
        sa.Column("product_id", sa.Text(), nullable=False),
        sa.Column("dev_type", sa.Text(), nullable=False),
        sa.Column("vf_index", sa.Integer(), nullable=True),
        sa.Column("numa_node", sa.Integer(), nullable=True),
        sa.Column("iommu_group", sa.Integer(), nullable=True),
        sa.Column("driver", sa.Text(), nullable=True),
        sa.Column("netdev", sa.Text(), nullable=True),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("serial", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("entry", sa.Integer(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("physical_network", sa.Text(), nullable=True),
        sa.Column("resource_class", sa.Text(), nullable=True),
        sa.Column("provider_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=False),
        sa.Column("cleaning_round", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("state_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.CheckConstraint(
            "state IN ('available', 'held', 'cleaning', 'quarantined')",
            name=op.f("ck_device_state"),
        ),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_device_host_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["pf_id"], ["device.id"], name=op.f("fk_device_pf_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
        comment="One PCI function. Its identity (serial, slot) is in columns, its id is a surrogate.",
    )
    with op.batch_alter_table("device", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_pf_id"), ["pf_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_device_provider_id"), ["provider_id"], unique=False)
        batch_op.create_index(
            "uq_device_host_address_present",
            ["host_id", "address"],
            unique=True,
            sqlite_where=sa.text("present"),
            postgresql_where=sa.text("present"),
        )

    op.create_table(
        "flavor_access",
        sa.Column("flavor_id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["flavor_id"],
            ["flavor.id"],
            name=op.f("fk_flavor_access_flavor_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("flavor_id", "project_id", name=op.f("pk_flavor_access")),
    )
    op.create_table(
        "port",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("network_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("mac_address", sa.Text(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("device_owner", sa.Text(), nullable=False),
        sa.Column("vnic_type", sa.Text(), nullable=False),
        sa.Column("binding_host", sa.Text(), nullable=False),
        sa.Column("binding_profile", sa.JSON(), nullable=False),
        sa.Column("vif_type", sa.Text(), nullable=False),
        sa.Column("vif_details", sa.JSON(), nullable=False),
        sa.Column("binding_failure", sa.Text(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("propagate_uplink_status", sa.Boolean(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=True),
        sa.Column("numa_affinity_policy", sa.Text(), nullable=True),
        sa.Column("allowed_address_pairs", sa.JSON(), nullable=False),
        sa.Column("security_groups", sa.JSON(), nullable=False),
        sa.Column("extra_dhcp_opts", sa.JSON(), nullable=False),
        sa.Column("dns_name", sa.Text(), nullable=False),
        sa.Column("created_by_server", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network.id"], name=op.f("fk_port_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_port")),
        sa.UniqueConstraint(
            "network_id", "mac_address", name=op.f("uq_port_network_id_mac_address")
        ),
        comment="binding_host is a host's name, as clients write it; binding_failure says why not.",
    )
    with op.batch_alter_table("port", schema=None) as batch_op:
        batch_op.create_index("ix_port_device_id", ["device_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_port_network_id"), ["network_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_port_project_id"), ["project_id"], unique=False)

    op.create_table(
        "resource_provider",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.Text(), nullable=True),
        sa.Column("root_id", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Text(), nullable=True),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["host.id"], name=op.f("fk_resource_provider_host_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["resource_provider.id"], name=op.f("fk_resource_provider_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_provider")),
        sa.UniqueConstraint("name", name=op.f("uq_resource_provider_name")),
        comment="owner: api (made by a client, theirs whole), host, or device (inventory is derived).",
    )
    with op.batch_alter_table("resource_provider", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_resource_provider_host_id"), ["host_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_resource_provider_root_id"), ["root_id"], unique=False)

    op.create_table(
        "segment",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("network_id", sa.Text(), nullable=False),
        sa.Column("network_type", sa.Text(), nullable=False),
        sa.Column("physical_network", sa.Text(), nullable=True),
        sa.Column("segmentation_id", sa.Integer(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name=op.f("fk_segment_network_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint(
            "physical_network",
            "segmentation_id",
            name=op.f("uq_segment_physical_network_segmentation_id"),
        ),
        comment="A VLAN id is used once per physical network because the key says so.",
    )
    with op.batch_alter_table("segment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_segment_network_id"), ["network_id"], unique=False)
        batch_op.create_index(
            "uq_segment_flat",
            ["physical_network"],
            unique=True,
            sqlite_where=sa.text("network_type = 'flat'"),
            postgresql_where=sa.text("network_type = 'flat'"),
        )

    op.create_table(
        "server",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("host_id", sa.Text(), nullable=True),
        sa.Column("availability_zone", sa.Text(), nullable=False),
        sa.Column("flavor", sa.JSON(), nullable=False),
        sa.Column("image_id", sa.Text(), nullable=True),
        sa.Column("image_properties", sa.JSON(), nullable=False),
        sa.Column("key_name", sa.Text(), nullable=True),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("user_data", sa.Text(), nullable=True),
        sa.Column("config_drive", sa.Boolean(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("scheduler_hints", sa.JSON(), nullable=False),
        sa.Column("device_requests", sa.JSON(), nullable=False),
        sa.Column("port_ids", sa.JSON(), nullable=False),
        sa.Column("pinned_zone", sa.Text(), nullable=True),
        sa.Column("access_ip_v4", sa.Text(), nullable=False),
        sa.Column("access_ip_v6", sa.Text(), nullable=False),
        sa.Column("disk_config", sa.Text(), nullable=False),
        sa.Column("reservation_id", sa.Text(), nullable=False),
        sa.Column("launch_index", sa.BigInteger(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("locked_reason", sa.Text(), nullable=True),
        sa.Column("vm_state", sa.Text(), nullable=False),
        sa.Column("task_state", sa.Text(), nullable=True),
        sa.Column("power_state", sa.BigInteger(), nullable=False),
        sa.Column("wanted", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("reboots", sa.BigInteger(), nullable=False),
        sa.Column("fault", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("console_wanted_until", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("launched_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.Column("terminated_at", lanekeeper.store.tables.column.Moment(), nullable=True),
        sa.CheckConstraint(
            "wanted IN ('running', 'stopped', 'absent')", name=op.f("ck_server_wanted")
        ),
        sa.ForeignKeyConstraint(["host_id"], ["host.id"], name=op.f("fk_server_host_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_server")),
        comment="A row goes when its host has reported the guest absent; what is deleted is gone.",
    )
    with op.batch_alter_table("server", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_server_host_id"), ["host_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_server_project_id"), ["project_id"], unique=False)

    op.create_table(
        "subnet",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("network_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("ip_version", sa.Integer(), nullable=False),
        sa.Column("cidr", sa.Text(), nullable=False),
        sa.Column("gateway_ip", sa.Text(), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("allocation_pools", sa.JSON(), nullable=False),
        sa.Column("dns_nameservers", sa.JSON(), nullable=False),
        sa.Column("host_routes", sa.JSON(), nullable=False),
        sa.Column("ipv6_ra_mode", sa.Text(), nullable=True),
        sa.Column("ipv6_address_mode", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["network_id"], ["network.id"], name=op.f("fk_subnet_network_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnet")),
    )
    with op.batch_alter_table("subnet", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subnet_network_id"), ["network_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_subnet_project_id"), ["project_id"], unique=False)

    op.create_table(
        "address",
        sa.Column("subnet_id", sa.Text(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("port_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["port.id"], name=op.f("fk_address_port_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["subnet_id"], ["subnet.id"], name=op.f("fk_address_subnet_id")),
        sa.PrimaryKeyConstraint("subnet_id", "ip", name=op.f("pk_address")),
        comment="An address is given once because the key says so.",
    )
    with op.batch_alter_table("address", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_address_port_id"), ["port_id"], unique=False)

    op.create_table(
        "allocation",
        sa.Column("consumer_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("resource_class", sa.Text(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["resource_provider.id"], name=op.f("fk_allocation_provider_id")
        ),
        sa.PrimaryKeyConstraint(
            "consumer_id", "provider_id", "resource_class", name=op.f("pk_allocation")
        ),
        comment="Classes that devices do not own; those of devices are a view over claims.",
    )
    with op.batch_alter_table("allocation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_allocation_provider_id"), ["provider_id"], unique=False
        )

    op.create_table(
        "card",
        sa.Column("pf_device_id", sa.Text(), nullable=False),
        sa.Column("whole_holder", sa.Text(), nullable=True),
        sa.Column("parts_held", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("parts_held >= 0", name=op.f("ck_card_parts")),
        sa.CheckConstraint(
            "whole_holder IS NULL OR parts_held = 0", name=op.f("ck_card_whole_or_parts")
        ),
        sa.ForeignKeyConstraint(
            ["pf_device_id"], ["device.id"], name=op.f("fk_card_pf_device_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("pf_device_id", name=op.f("pk_card")),
        comment="The arbiter between a PF and its VFs; what is held counts until it is clean.",
    )
    op.create_table(
        "claim",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("consumer_id", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("created_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name=op.f("fk_claim_device_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_claim")),
        sa.UniqueConstraint(
            "consumer_id", "request_id", "index", name=op.f("uq_claim_consumer_id_request_id_index")
        ),
        comment="Who holds a device. A device has one holder because this key says so.",
    )
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_claim_consumer_id"), ["consumer_id"], unique=False)

    op.create_table(
        "inventory",
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("resource_class", sa.Text(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("min_unit", sa.BigInteger(), nullable=False),
        sa.Column("max_unit", sa.BigInteger(), nullable=False),
        sa.Column("step_size", sa.BigInteger(), nullable=False),
        sa.Column("allocation_ratio", sa.Float(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", lanekeeper.store.tables.column.Moment(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("ck_inventory_used")),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_provider.id"],
            name=op.f("fk_inventory_provider_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "resource_class", name=op.f("pk_inventory")),
        comment="Classes that devices do not own; capacity = int((total - reserved) * ratio).",
    )
    op.create_table(
        "provider_aggregate",
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("aggregate_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_provider.id"],
            name=op.f("fk_provider_aggregate_provider_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "aggregate_id", name=op.f("pk_provider_aggregate")),
    )
    op.create_table(
        "provider_trait",
        sa.Column("provider_id", sa.Text(), nullable=False),
        sa.Column("trait", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["resource_provider.id"],
            name=op.f("fk_provider_trait_provider_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "trait", name=op.f("pk_provider_trait")),
    )
