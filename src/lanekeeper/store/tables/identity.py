"""Identity, and what the installation as a whole keeps: its keys and its authority."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Column, ForeignKey, Table, UniqueConstraint

from lanekeeper.store.tables.column import (
    Moment,
    flag_column,
    id_column,
    json_column,
    metadata,
    number_column,
    text_column,
)

token_key = Table(
    "token_key",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    text_column("key"),
    Column("created_at", Moment, nullable=False),
    comment="Fernet keys; the newest signs, all verify.",
)
authority = Table(
    "authority",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    text_column("certificate_pem"),
    text_column("key_pem"),
    comment="The CA that signs the controllers' certificates; made on the first start.",
)

project = Table(
    "project",
    metadata,
    id_column(),
    Column("name", sa.Text, nullable=False),
    text_column("domain_id", "default"),
    text_column("description"),
    flag_column("enabled", default=True),
    UniqueConstraint("domain_id", "name"),
)
user = Table(
    "user",
    metadata,
    id_column(),
    Column("name", sa.Text, nullable=False),
    text_column("domain_id", "default"),
    text_column("description"),
    text_column("email"),
    text_column("password_hash"),
    flag_column("enabled", default=True),
    Column("default_project_id", sa.Text),
    Column("password_changed_at", Moment),
    UniqueConstraint("domain_id", "name"),
)
role = Table(
    "role",
    metadata,
    id_column(),
    Column("name", sa.Text, nullable=False, unique=True),
    text_column("description"),
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
    id_column(),
    Column("name", sa.Text, nullable=False),
    Column("user_id", sa.Text, ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", sa.Text, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    text_column("secret_hash"),
    text_column("description"),
    json_column("roles", list),
    flag_column("unrestricted", default=False),
    Column("expires_at", Moment),
    UniqueConstraint("user_id", "name"),
)
registered_limit = Table(
    "registered_limit",
    metadata,
    id_column(),
    Column("resource_name", sa.Text, nullable=False, unique=True),
    Column("region_id", sa.Text),
    number_column("default_limit"),
    Column("description", sa.Text),
    comment="How much of a resource each project may have that has no limit of its own; of nova.",
)
project_limit = Table(
    "project_limit",
    metadata,
    id_column(),
    Column("project_id", sa.Text, ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("registered_id", sa.Text, ForeignKey("registered_limit.id"), nullable=False, index=True),
    number_column("resource_limit"),
    Column("description", sa.Text),
    UniqueConstraint("project_id", "registered_id"),
    comment="What one project may have in place of the registered limit.",
)
revocation = Table(
    "revocation",
    metadata,
    Column("audit_id", sa.Text, primary_key=True),
    Column("expires_at", Moment, nullable=False),
    comment="Tokens revoked one by one; a row lives as long as the token would have.",
)
