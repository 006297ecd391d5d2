"""Tokens of a Keystone that is not ours: asked about there, and remembered for a while."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from keystoneauth1 import exceptions
from keystoneauth1.identity import v3
from keystoneauth1.plugin import AUTH_INTERFACE, BaseAuthPlugin
from keystoneauth1.session import Session

from lanekeeper.clock import Clock
from lanekeeper.config import Keystone
from lanekeeper.control.caller import Caller
from lanekeeper.domain.errors import Invalid, Unauthenticated, Unavailable

log = structlog.get_logger("lanekeeper.identity.outside")

_REMEMBERED_MAX = 4096
_UNKNOWN = "The request you have made requires authentication."


class Outside:
    """One outside Keystone. Thread-safe.

    Source: Identity API v3, "Validate and show information for token"; keys of the configuration
    are keystonemiddleware's.
    """

    def __init__(self, settings: Keystone, clock: Clock) -> None:
        """Prepare to ask; nothing is sent yet.

        Raises:
            Invalid: something that a login needs is not configured.
        """
        self._clock = clock
        self._life = timedelta(seconds=settings.token_cache_time)
        self._session = Session(
            auth=_plugin(settings),
            verify=settings.cafile or not settings.insecure,
            timeout=settings.http_connect_timeout,
        )
        self._lock = threading.Lock()
        self._remembered: OrderedDict[bytes, tuple[datetime, Caller]] = OrderedDict()

    def caller(self, token: str, request_id: str) -> Caller:
        """Return whom a token stands for.

        Raises:
            Unauthenticated: Keystone does not know it, or it has expired.
            Unavailable: Keystone does not answer, or does not let this service ask.
        """
        key, now = hashlib.sha256(token.encode()).digest(), self._clock()
        with self._lock:
            until, known = self._remembered.get(key, (now, None))
        if known is None or until <= now:
            until, known = self._asked(token)
            if until <= now:
                raise Unauthenticated(_UNKNOWN)
            self._remember(key, min(until, now + self._life), known)
        return replace(known, request_id=request_id)

    def _remember(self, key: bytes, until: datetime, caller: Caller) -> None:
        with self._lock:
            self._remembered[key] = (until, caller)
            self._remembered.move_to_end(key)
            while len(self._remembered) > _REMEMBERED_MAX:
                self._remembered.popitem(last=False)

    def _asked(self, token: str) -> tuple[datetime, Caller]:
        try:
            answer = self._session.get(
                "/auth/tokens",
                endpoint_filter={"interface": AUTH_INTERFACE, "version": (3, 0)},
                headers={"X-Subject-Token": token, "Accept": "application/json"},
            )
            return _read(answer.json()["token"])
        except exceptions.NotFound as error:
            raise Unauthenticated(_UNKNOWN) from error
        except exceptions.Unauthorized as error:  # the token is in a header, the login is ours
            log.warning("keystone.login_refused", outcome=str(error))
            raise Unavailable(
                "Keystone refuses the login of this service, so nobody's token can be checked",
                hint="username, password and project of [keystone_authtoken] have to be right",
            ) from error
        except exceptions.ClientException as error:
            raise Unavailable(f"Keystone cannot be asked about the token: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable("Keystone's answer about the token is not understood") from error


def _plugin(settings: Keystone) -> BaseAuthPlugin:
    """Make what logs this service in.

    Raises:
        Invalid: a key is missing.
    """
    application = settings.auth_type == "v3applicationcredential"
    needed = (
        {"auth_url", "application_credential_id", "application_credential_secret"}
        if application
        else {"auth_url", "username", "password", "project_name"}
    )
    if missing := sorted(name for name in needed if not getattr(settings, name)):
        raise Invalid(
            f"[keystone_authtoken] {', '.join(missing)}: not set, but auth_strategy keystone needs "
            "it",
            hint="or set [api] auth_strategy = noauth2, for trying on loopback",
        )
    if application:
        return v3.ApplicationCredential(
            settings.auth_url,
            application_credential_id=settings.application_credential_id,
            application_credential_secret=settings.application_credential_secret,
        )
    return v3.Password(
        settings.auth_url,
        username=settings.username,
        password=settings.password,
        user_domain_name=_or_default(settings.user_domain_name, settings.user_domain_id),
        user_domain_id=settings.user_domain_id or None,
        project_name=settings.project_name,
        project_domain_name=_or_default(settings.project_domain_name, settings.project_domain_id),
        project_domain_id=settings.project_domain_id or None,
    )


def _or_default(name: str, id_: str) -> str | None:
    return name or (None if id_ else "Default")


def _read(token: dict[str, Any]) -> tuple[datetime, Caller]:
    """Read Keystone's view of a token: until when it is good, and whose it is."""
    expires = datetime.fromisoformat(token["expires_at"])
    project = token.get("project") or {}
    return expires if expires.tzinfo else expires.replace(tzinfo=UTC), Caller(
        user_id=token["user"]["id"],
        user_name=token["user"]["name"],
        project_id=project.get("id"),
        project_name=project.get("name"),
        domain_id=(token.get("domain") or {}).get("id"),
        roles=frozenset(role["name"].lower() for role in token.get("roles", ())),
        system="system" in token,
        audit_id=(token.get("audit_ids") or [""])[0],
    )
