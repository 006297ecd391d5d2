"""What bodies and query strings must look like, as JSON Schema, and the words of its refusals.

Source: the API reference of Placement; messages are those of jsonschema, which clients know.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import jsonschema
import msgspec
from jsonschema.exceptions import best_match

from lanekeeper.api.row import refuse_nul
from lanekeeper.domain import typed
from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.placement.inventory import INT_MAX, RATIO_MAX

Schema = Mapping[str, Any]
NAME_PATTERN = "^[A-Z0-9_]+$"
_UUID_PATTERN = "^[0-9a-fA-F-]{36}$"
_CUSTOM_PATTERN = "^CUSTOM_[A-Z0-9_]+$"
_MESSAGE_MAX = 500
_WEIGHED_MAX = 50  # errors, of which the most telling is said; a body can have a million


def _is_uuid(value: object) -> bool:
    """Any spelling that names a UUID, with dashes or without."""
    if not isinstance(value, str):
        return True
    try:
        uuid.UUID(value)
    except ValueError:
        return False
    return True


_formats = jsonschema.FormatChecker(formats=())
_formats.checks("uuid")(_is_uuid)


class Form:
    """One schema, made ready to be checked against many times."""

    def __init__(self, schema: Schema) -> None:
        self._validator = jsonschema.Draft202012Validator(schema, format_checker=_formats)

    def check(self, value: Any, what: str) -> None:
        """Let *value* pass.

        Raises:
            Invalid: it is not of the form; *what* begins the message.
        """
        if self._validator.is_valid(value):
            return
        error = best_match(islice(self._validator.iter_errors(value), _WEIGHED_MAX))
        assert error is not None, "what is not valid has an error"
        place = "".join(f"[{step!r}]" for step in list(error.relative_schema_path)[:-1])
        raise Invalid(
            f"{what}: {_short(error.message)} "
            f"(Failed validating {error.validator!r} in schema{place})"
        )

    def read(self, raw: bytes) -> Any:
        """Decode a JSON body of this form.

        Raises:
            Invalid: not JSON, or not of the form.
        """
        refuse_nul(raw)
        try:
            value = typed.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"Malformed JSON: {error}") from error
        except RecursionError as error:
            raise Invalid("Malformed JSON: more levels than are read") from error
        self.check(value, "JSON does not validate")
        return value


def _short(text: str) -> str:
    """Keep both ends of a message that quotes a long value: what it is, and what is wrong."""
    if len(text) <= _MESSAGE_MAX:
        return text
    return f"{text[: _MESSAGE_MAX // 2]} … {text[-_MESSAGE_MAX // 2 :]}"


def record(properties: Schema, *, required: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    """Make the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def mapping(key: str, value: Schema, *, least: int = 0) -> dict[str, Any]:
    """Make the schema of an object whose keys match a pattern."""
    return {
        "type": "object",
        "minProperties": least,
        "patternProperties": {key: value},
        "additionalProperties": False,
    }


def text(least: int = 0, most: int | None = None, pattern: str = "") -> dict[str, Any]:
    form: dict[str, Any] = {"type": "string"}
    if least:
        form["minLength"] = least
    if most is not None:
        form["maxLength"] = most
    if pattern:
        form["pattern"] = pattern
    return form


def count(least: int, most: int = INT_MAX) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


INTEGER: Schema = {"type": "integer"}
UUID: Schema = {"type": "string", "format": "uuid"}
OPTIONAL_UUID: Schema = {"anyOf": [UUID, {"type": "null"}]}
CUSTOM_NAME = text(most=255, pattern=_CUSTOM_PATTERN)
OWNER = text(1, 255)

# Inventories --------------------------------------------------------------------------------------

_STOCK: Schema = {
    "resource_provider_generation": INTEGER,
    "total": count(1),
    "reserved": count(0),
    "min_unit": count(1),
    "max_unit": count(1),
    "step_size": count(1),
    "allocation_ratio": {"type": "number", "maximum": RATIO_MAX},
}
_GENERATION = "resource_provider_generation"
INVENTORY = record(_STOCK, required=["total", _GENERATION])
NEW_INVENTORY = record(
    {**_STOCK, "resource_class": text(pattern=NAME_PATTERN)}, required=["total", "resource_class"]
)
INVENTORIES = record(
    {
        _GENERATION: INTEGER,
        "inventories": {
            "type": "object",
            "patternProperties": {NAME_PATTERN: record(_STOCK, required=["total"])},
        },
    },
    required=[_GENERATION, "inventories"],
)

# Allocations --------------------------------------------------------------------------------------

_AMOUNTS = mapping(NAME_PATTERN, {"type": "integer", "minimum": 1}, least=1)
_SHARE = record({"generation": INTEGER, "resources": _AMOUNTS}, required=["resources"])
_LISTED = record(
    {"resource_provider": record({"uuid": UUID}, required=["uuid"]), "resources": _AMOUNTS},
    required=["resource_provider", "resources"],
)
_MAPPINGS: Schema = {
    "type": "object",
    "minProperties": 1,
    "patternProperties": {
        "[a-zA-Z0-9_-]{1,64}": {"type": "array", "minItems": 1, "items": UUID},
    },
}


def listed_claim(minor: int) -> dict[str, Any]:
    """Make the schema of a claim before 1.12, where providers stand in a list."""
    properties: dict[str, Any] = {
        "allocations": {"type": "array", "minItems": 1, "items": _LISTED},
    }
    if minor < 8:  # noqa: PLR2004 the microversion
        return record(properties, required=["allocations"])
    properties |= {"project_id": OWNER, "user_id": OWNER}
    return record(properties, required=list(properties))


def claim(minor: int, *, emptiable: bool) -> dict[str, Any]:
    """Make the schema of a claim at a microversion; *emptiable* ones may give everything back."""
    properties: dict[str, Any] = {
        "allocations": mapping(_UUID_PATTERN, _SHARE, least=0 if emptiable else 1),
        "project_id": OWNER,
        "user_id": OWNER,
    }
    if minor >= 28:  # noqa: PLR2004 the microversion
        properties["consumer_generation"] = {"type": ["integer", "null"]}
    if minor >= 38:  # noqa: PLR2004 the microversion
        properties["consumer_type"] = text(1, 255, NAME_PATTERN)
    required = list(properties)
    if minor >= 34:  # noqa: PLR2004 the microversion
        properties["mappings"] = _MAPPINGS
    return record(properties, required=required)


def claims(minor: int, *, least: int = 1) -> dict[str, Any]:
    """Make the schema of claims by consumer."""
    return mapping(_UUID_PATTERN, claim(minor, emptiable=True), least=least)


def reshape(minor: int) -> dict[str, Any]:
    return record(
        {
            "inventories": mapping(_UUID_PATTERN, INVENTORIES, least=1),
            "allocations": claims(minor, least=0),
        },
        required=["inventories", "allocations"],
    )
