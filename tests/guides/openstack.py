"""Command lines of guides, as the calls that the clients make of them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Mapping, Sequence
from string import Template
from typing import Any

from starlette.testclient import TestClient

COMPUTE, NETWORK, PLACEMENT = "/compute/v2.1", "/network/v2.0", "/placement"
_PLACEMENT_VERSION = {"OpenStack-API-Version": "placement 1.39"}


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Console:
    """Runs command lines as a guide prints them, prompt and all.

    Source: python-openstackclient, osc-placement, python-neutronclient and python-novaclient; of
        each command only what guides print of it.
    """

    def __init__(self, http: TestClient, variables: Mapping[str, str]) -> None:
        self.http = http
        self.variables = dict(variables)
        self.commands: dict[str, Callable[[Sequence[str]], Any]] = {
            "openstack flavor set": self.flavor_set,
            "openstack resource provider list": self.provider_list,
            "openstack resource provider inventory list": self.inventory_list,
            "openstack resource provider inventory set": self.inventory_set,
            "neutron port-create": self.port_create,
            "nova boot": self.boot,
        }

    def run(self, text: str) -> Any:
        """Run one command line; returns what its answer holds."""
        bare = text.strip().lstrip("$#\u00a0 ").replace("\u00a0", " ").replace("\\\n", " ")
        words = shlex.split(Template(bare).substitute(self.variables))
        for length in range(len(words), 0, -1):
            if command := self.commands.get(" ".join(words[:length])):
                return command(words[length:])
        raise AssertionError(f"no command {text}")

    def flavor_set(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "name", "--property*")
        specs = dict(one.split("=", 1) for one in given.property)
        path = f"{COMPUTE}/flavors/{self._flavor(given.name)}/os-extra_specs"
        return self.call("POST", path, {"extra_specs": specs})["extra_specs"]

    def provider_list(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "--required")
        path = f"{PLACEMENT}/resource_providers?required={given.required}"
        return self.call("GET", path)["resource_providers"]

    def inventory_list(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "uuid")
        path = f"{PLACEMENT}/resource_providers/{given.uuid}"
        found = self.call("GET", f"{path}/inventories")["inventories"]
        used = self.call("GET", f"{path}/usages")["usages"]
        return {name: {**one, "used": used[name]} for name, one in found.items()}

    def inventory_set(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "uuid", "--resource", "--amend!")
        assert given.amend
        path = f"{PLACEMENT}/resource_providers/{given.uuid}/inventories"
        name, _, change = given.resource.partition(":")
        field, _, value = change.partition("=")
        now = self.call("GET", path)
        now["inventories"][name][field] = int(value)
        return self.call("PUT", path, now)["inventories"]

    def port_create(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "network", "--name", "--binding:vnic-type")
        vnic_type = getattr(given, "binding:vnic_type")
        network_id = self._network(given.network)
        body = {"network_id": network_id, "binding:vnic_type": vnic_type, "name": given.name or ""}
        return self.call("POST", f"{NETWORK}/ports", {"port": body})["port"]

    def boot(self, words: Sequence[str]) -> Any:
        given = _parsed(words, "name", "--flavor", "--image", "--nic")
        key, _, port = given.nic.partition("=")
        assert key == "port-id"
        return self.server(given.name, given.flavor, given.image, [{"port": port}])

    def server(self, name: str, flavor: str, image: str, networks: Any = "none") -> Any:
        """Ask for a server."""
        body = {"name": name, "flavorRef": self._flavor(flavor), "imageRef": image}
        made = self.call("POST", f"{COMPUTE}/servers", {"server": body | {"networks": networks}})
        return self.call("GET", f"{COMPUTE}/servers/{made['server']['id']}")["server"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        headers = _PLACEMENT_VERSION if path.startswith(PLACEMENT) else {}
        answer = self.http.request(method, path, json=body, headers=headers)
        if not answer.is_success:
            raise Refused(answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def _network(self, wanted: str) -> str:
        networks = self.call("GET", f"{NETWORK}/networks")["networks"]
        return next(str(one["id"]) for one in networks if wanted in (one["id"], one["name"]))

    def _flavor(self, name: str) -> str:
        flavors = self.call("GET", f"{COMPUTE}/flavors")["flavors"]
        return next(str(one["id"]) for one in flavors if one["name"] == name)


def _parsed(words: Sequence[str], *names: str) -> argparse.Namespace:
    """Parse by names: ``*`` repeats, ``!`` takes no value."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for name in names:
        if name.endswith("*"):
            parser.add_argument(name[:-1], action="append")
        elif name.endswith("!"):
            parser.add_argument(name[:-1], action="store_true")
        else:
            parser.add_argument(name)
    return parser.parse_args(words)
