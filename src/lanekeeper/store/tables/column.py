"""What tables are made of: the metadata that holds them all, kinds of columns, moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column
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


def id_column() -> Column[str]:
    return Column("id", sa.Text, primary_key=True)


def text_column(name: str, default: str = "") -> Column[str]:
    return Column(name, sa.Text, nullable=False, default=default)


def flag_column(name: str, *, default: bool) -> Column[bool]:
    return Column(name, sa.Boolean, nullable=False, default=default)


def number_column(name: str, default: int = 0) -> Column[int]:
    return Column(name, sa.BigInteger, nullable=False, default=default)


def json_column(name: str, default: Any = dict) -> Column[Any]:
    return Column(name, sa.JSON, nullable=False, default=default)
