"""The two servers: OpenStack Neutron from its own environment, and a Lanekeeper.

Both listen on 127.0.0.1 only, keep everything in the directory that they are given, and are gone at
the end of the block. Neutron has SQLite, no Keystone (who calls is said in headers), and no broker:
its messages to agents go nowhere. Its agents are rows of its database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from differential.call import Answer, Book, Call
from running import Instance, Process, pick_port, running, until

NEUTRON_PYTHON = Path(__file__).parents[2] / ".venv-neutron" / "bin" / "python"
HOST = "sim-1"
ADMIN, MEMBER = "admin", "member"
_STARTS_WITHIN_S = 600
_ANSWERS_WITHIN_S = 120
_MORTAL = ("setpriv", "--pdeathsig", "TERM")
_ML2 = """[ml2]
mechanism_drivers = openvswitch,sriovnicswitch
type_drivers = flat,vlan
project_network_types = vlan
tenant_network_types = vlan
extension_drivers = {extensions}
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:899,physnet2:100:899
[ml2_type_flat]
flat_networks = *
"""
_EXTENSIONS = (
    "port_security",
    "qos",
    "uplink_status_propagation",
    "uplink_status_propagation_updatable",
    "port_trusted",
    "port_numa_affinity_policy",
    "data_plane_status",
    "tag_ports_during_bulk_creation",
)
_NEUTRON = """[DEFAULT]
auth_strategy = keystone
core_plugin = ml2
service_plugins = qos,segments,revisions,timestamp,tag,network_ip_availability
transport_url = fake://
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
state_path = {home}
api_paste_config = {home}/api-paste.ini
agent_down_time = 2000000
[database]
connection = sqlite:///{home}/neutron.sqlite
[oslo_concurrency]
lock_path = {home}
[quotas]
{quotas}
"""
_QUOTAS = ("network", "subnet", "port", "security_group", "security_group_rule", "rbac_policy")
_PASTE = """[composite:neutron]
use = egg:Paste#urlmap
/v2.0: api
[composite:api]
use = call:neutron.auth:pipeline_factory
keystone = request_id catch_errors keystonecontext extensions app
[filter:request_id]
paste.filter_factory = oslo_middleware:RequestId.factory
[filter:catch_errors]
paste.filter_factory = oslo_middleware:CatchErrors.factory
[filter:keystonecontext]
paste.filter_factory = neutron.auth:NeutronKeystoneContext.factory
[filter:extensions]
paste.filter_factory = neutron.api.extensions:plugin_aware_extension_middleware_factory
[app:app]
paste.app_factory = neutron.api.v2.router:APIRouter.factory
"""


@dataclass(slots=True)
class Server:
    """One of the two.

    Attributes:
        url: where version 2.0 answers.
        tokens: headers that say who calls.
    """

    name: str
    url: str
    tokens: Mapping[str, Mapping[str, str]]
    http: httpx.Client
    book: Book

    def ask(self, call: Call) -> Answer:
        """Send a call, in this server's own words.

        Raises:
            TimeoutError: no answer came; names the call.
        """
        try:
            answer = self._send(call)
        except httpx.TimeoutException as error:
            raise TimeoutError(f"{self.name} did not answer to {call}") from error
        return Answer(answer.status_code, _json(answer))

    def _send(self, call: Call) -> httpx.Response:
        return self.http.request(
            call.method,
            self.url + self.book.fill(call.path),
            params=[(name, str(self.book.fill(value))) for name, value in call.query] or None,
            json=None if call.body is None else self.book.fill(call.body),
            headers={
                **self.tokens[call.who],
                **{name: str(self.book.fill(value)) for name, value in call.headers.items()},
            },
        )


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return answer.text


@contextmanager
def neutron(home: Path) -> Iterator[Server]:
    """Run Neutron; making its tables takes a while."""
    home.mkdir(parents=True)
    quotas = "\n".join(f"quota_{name} = -1" for name in _QUOTAS)
    (home / "neutron.conf").write_text(_NEUTRON.format(home=home, quotas=quotas) + _ml2())
    (home / "api-paste.ini").write_text(_PASTE)
    port = pick_port()
    script = Path(__file__).with_name("neutron_server.py")
    arguments = [*_MORTAL, str(NEUTRON_PYTHON), str(script), str(home), str(port), HOST]
    process = Process(arguments, home / "log")
    try:
        process.line("ready", _STARTS_WITHIN_S)
        tokens = {
            ADMIN: _headers("1" * 32, "admin,manager,member,reader,service"),
            MEMBER: _headers("2" * 32, "member,reader"),
        }
        with httpx.Client(trust_env=False, timeout=_ANSWERS_WITHIN_S) as http:
            server = Server("Neutron", f"http://127.0.0.1:{port}/v2.0", tokens, http, Book())
            for number in (1, 2):
                server.book.note(f"project-{number}", {"id": str(number) * 32})
            yield server
    finally:
        process.kill()


def _ml2() -> str:
    return _ML2.format(extensions=",".join(_EXTENSIONS))


def _headers(project: str, roles: str) -> dict[str, str]:
    return {"X-User-Id": "u", "X-Project-Id": project, "X-Roles": roles}


@contextmanager
def lanekeeper(home: Path) -> Iterator[Server]:
    """Run Lanekeeper with one simulated host, in the same two projects."""
    home.mkdir(parents=True)
    config = home / "ml2_conf.ini"
    config.write_text(_nova_sample() + _ml2() + _own_quotas())
    with running(home / "state", config_files=[config]) as instance:
        until(lambda: _host_is_heard(instance), "the simulated host is up", _ANSWERS_WITHIN_S)
        project, token = _member_of(instance)
        tokens = {
            ADMIN: {"X-Auth-Token": str(instance.sdk.auth_token)},
            MEMBER: {"X-Auth-Token": token},
        }
        url = f"{instance.url}/network/v2.0"
        with httpx.Client(trust_env=False, timeout=_ANSWERS_WITHIN_S) as http:
            server = Server("Lanekeeper", url, tokens, http, Book())
            server.book.note("project-1", {"id": str(instance.sdk.current_project_id)})
            server.book.note("project-2", {"id": project})
            yield server


def _nova_sample() -> str:
    from importlib.resources import files

    sample = files("lanekeeper.data").joinpath("nova.sample.conf").read_text()
    return sample.partition("[ml2]")[0]


def _own_quotas() -> str:
    return "[quotas]\n" + "\n".join(f"quota_{name} = -1" for name in _QUOTAS) + "\n"


def _host_is_heard(instance: Instance) -> bool:
    return any(one.is_alive for one in instance.sdk.network.agents())


def _member_of(instance: Instance) -> tuple[str, str]:
    """Make a project with a member; return its id and their token."""
    identity: Any = instance.sdk.identity  # its type has v2, too
    project = identity.create_project(name="member")
    user = identity.create_user(name="member", password="member-secret")
    identity.assign_project_role_to_user(project, user, identity.find_role("member"))
    with instance.connect(
        username="member",
        password="member-secret",
        project_name="member",
    ) as theirs:
        return str(project.id), str(theirs.auth_token)
