"""The controller as a command of the operator's reaches it: clouds.yaml or OS_*, a token, JSON."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import yaml

from lanekeeper.domain.errors import (
    Conflict,
    Error,
    Forbidden,
    Invalid,
    NotFound,
    NotOffered,
    Unauthenticated,
    Unavailable,
)
from lanekeeper.no_answer import no_answer

_TIMEOUT_S = 60.0
_PLACES = (Path("clouds.yaml"), Path("~/.config/openstack/clouds.yaml"),
           Path("/etc/openstack/clouds.yaml"))  # fmt: skip
_KINDS: Mapping[int, type[Error]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: NotOffered,
}
_HOW = "source openrc, or set OS_CLOUD=lanekeeper and OS_CLIENT_CONFIG_FILE=…/clouds.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who asks, and where.

    Attributes:
        auth: keys as under ``auth`` in clouds.yaml.
        cacert: file of the CA, None for the system's.
    """

    auth: Mapping[str, str]
    cacert: str | None = None

    @property
    def base_url(self) -> str:
        """The controller's address: what stands before ``/identity``."""
        parts = urlsplit(self.auth["auth_url"])
        return urlunsplit((parts.scheme, parts.netloc, "", "", ""))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Login:
        """Read OS_CLOUD with its clouds.yaml, or the OS_* of an openrc.

        Raises:
            Invalid: neither is there, the file does not hold the cloud, or the URL is none.
        """
        cloud = environment.get("OS_CLOUD")
        found = cls._from_file(cloud, environment) if cloud else cls._from_openrc(environment)
        check_url(found.auth["auth_url"], "auth_url" if cloud else "OS_AUTH_URL")
        return found

    @classmethod
    def _from_openrc(cls, environment: Mapping[str, str]) -> Login:
        auth = {
            key: environment[f"OS_{key.upper()}"]
            for key in (
                *("auth_url", "username", "password", "project_name", "project_id"),
                *("user_domain_name", "project_domain_name"),
            )
            if environment.get(f"OS_{key.upper()}")
        }
        if not {"auth_url", "username", "password"} <= auth.keys():
            raise Invalid("it is not said which controller to ask", hint=_HOW)
        return cls(auth=auth, cacert=environment.get("OS_CACERT"))

    @classmethod
    def _from_file(cls, cloud: str, environment: Mapping[str, str]) -> Login:
        named = environment.get("OS_CLIENT_CONFIG_FILE")
        places = [Path(named)] if named else [place.expanduser() for place in _PLACES]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise Invalid(f"OS_CLOUD={cloud} and no clouds.yaml is there", hint=_HOW)
        try:
            entry = yaml.safe_load(path.read_text("utf-8"))["clouds"][cloud]
            auth = {str(key): str(value) for key, value in entry["auth"].items()}
            auth["auth_url"]
        except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError) as error:
            raise Invalid(f"{path} does not hold cloud {cloud} with its auth") from error
        return cls(auth=auth, cacert=entry.get("cacert"))


def check_url(url: str, name: str) -> None:
    """Let a server's address pass. Raises Invalid, with *name*, for what is none."""
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, or a port beyond 65535
        is_one = False
    if not is_one:
        raise Invalid(f"{name} {url[:200]!r} is not http://HOST:PORT/… or https://HOST:PORT/…")


def check_authority(path: str | None, name: str) -> None:
    """Let a file of CA certificates pass. Raises Invalid, with *name*, for what is none."""
    if path is None:
        return
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError as error:
        raise Invalid(f"{name} {path} holds no CA certificate") from error
    except OSError as error:
        raise Invalid(f"{name} {path} cannot be read: {error.strerror}") from error


@dataclass(slots=True)
class Cloud:
    """A logged-in connection; one for a command's life."""

    login: Login
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        check_authority(self.login.cacert, "cacert (OS_CACERT)")
        self._http = httpx.Client(
            base_url=self.login.base_url,
            timeout=_TIMEOUT_S,
            verify=self.login.cacert or True,
            trust_env=False,
        )
        self._http.headers["X-Auth-Token"] = self._token()

    @property
    def token(self) -> str:
        return self._http.headers["X-Auth-Token"]

    def get(self, path: str, **query: str) -> Any:
        return self._ask("GET", path, params=query)

    def post(self, path: str, body: object = None) -> Any:
        return self._ask("POST", path, json=body)

    def find(self, path: str, plural: str, name_or_id: str) -> dict[str, Any]:
        """One thing by id, or by its exact name among those listed.

        Raises:
            NotFound: there is none; Conflict: more than one has the name.
        """
        listed = self.get(path)[plural]
        found = [one for one in listed if name_or_id in (one.get("id"), one.get("name"))]
        if not found:
            raise NotFound(f"no {plural.removesuffix('s')} is called {name_or_id}")
        if len(found) > 1:
            raise Conflict(f"{len(found)} {plural} are called {name_or_id}; give the id")
        return dict(found[0])

    def _token(self) -> str:
        auth = self.login.auth
        user = {
            "name": auth["username"],
            "password": auth["password"],
            "domain": {"name": auth.get("user_domain_name", "Default")},
        }
        body: dict[str, Any] = {
            "auth": {"identity": {"methods": ["password"], "password": {"user": user}}}
        }
        if "project_id" in auth:
            body["auth"]["scope"] = {"project": {"id": auth["project_id"]}}
        elif "project_name" in auth:
            domain = {"name": auth.get("project_domain_name", "Default")}
            body["auth"]["scope"] = {"project": {"name": auth["project_name"], "domain": domain}}
        answer = self._send("POST", "/identity/v3/auth/tokens", json=body)
        return str(answer.headers["X-Subject-Token"])

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = self._send(method, path, **more)
        return answer.json() if answer.content else None

    def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise no_answer(f"the controller at {self.login.base_url}", error) from error
        if answer.is_error:
            raise _KINDS.get(answer.status_code, Unavailable)(_message(answer))
        return answer


def connect() -> Cloud:
    """Log in as the environment says.

    Raises:
        Invalid: it does not say; Unauthenticated: the login is wrong; Unavailable: no answer.
    """
    return Cloud(Login.from_environment(os.environ))


def _message(answer: httpx.Response) -> str:
    """The one sentence of any service's fault."""
    try:
        (fault,) = answer.json().values()
        return str(fault["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"HTTP {answer.status_code}"
