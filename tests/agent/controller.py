"""A controller for one host or a few, small enough to be read: real HTTP, everything in memory."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import msgspec

from lanekeeper.protocol import (
    PREFIX,
    TURNED,
    Desired,
    HostFacts,
    HostHealth,
    HostState,
    HostVfs,
    ImageWanted,
)
from running import until

TOKEN = "lk1.-.a-one-time-token-for-tests"


class Controller:
    """What the tests see and set; thread-safe."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.desired: dict[str, Desired] = {}
        self.facts: dict[str, HostFacts] = {}
        self.health: dict[str, HostHealth] = {}
        self.vfs: dict[str, list[HostVfs]] = {}
        self.asked_for_vfs = 0  # how often VFs were told of, understood or not
        self.states: dict[str, list[HostState]] = {}
        self.consoles: dict[str, str] = {}
        self.images: dict[str, bytes] = {}
        self.host_ids: dict[str, str] = {}
        self.polls: list[str] = []
        self.frozen = False
        self.refuse = 0  # status that every answer but the enrolment's has, 0 for none
        self.is_older = False  # whether it knows nothing of VFs
        self.turned = False  # whether facts are refused as those of a card that a guest holds
        self.closing = False
        self.url = ""
        self.token = TOKEN
        self.authority = b""

    def order(self, name: str, desired: Desired) -> None:
        with self.changed:
            self.desired[self.host_ids[name]] = desired
            self.changed.notify_all()

    def state(self, name: str) -> HostState:
        with self.changed:
            states = self.states.get(self.host_ids.get(name, ""), [])
            return states[-1] if states else HostState()

    def wait_obeyed(self, name: str, desired: Desired, within_s: float = 20) -> HostState:
        """Wait until the host has worked *desired* through, and return what it says then."""
        mark = f"{desired.generation}.{desired.mark}"
        until(lambda: self.state(name).obeyed == mark, f"{name} obeys {mark}", within_s)
        return self.state(name)

    def add_image(self, image_id: str, content: bytes) -> ImageWanted:
        self.images[image_id] = content
        digest = hashlib.sha512(content).hexdigest()
        return ImageWanted(id=image_id, sha512=digest, size_bytes=len(content))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
        pass

    def do_GET(self) -> None:
        controller, what, rest = self._begin()
        if controller.refuse:
            self._answer(controller.refuse, b"refused by the test")
        elif rest == "authority":
            self._answer(200, controller.authority)
        elif what == "desired":
            self._desired(controller)
        elif what == "images" and rest in controller.images:
            self._answer(200, controller.images[rest])
        else:
            self._answer(404, b"no such thing")

    def do_PUT(self) -> None:
        controller, what, rest = self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if controller.refuse:
            self._answer(controller.refuse, b"refused by the test")
            return
        if controller.turned and what == "facts":
            fault = {"error": {"code": TURNED, "message": "a guest holds it"}}
            self._answer(409, json.dumps(fault).encode())
            return
        if what == "vfs":
            controller.asked_for_vfs += 1
            if controller.is_older:
                self._answer(404, b"no such resource")
                return
        with controller.changed:
            if what == "facts":
                controller.facts[self._host()] = msgspec.json.decode(body, type=HostFacts)
            elif what == "health":
                controller.health[self._host()] = msgspec.json.decode(body, type=HostHealth)
            elif what == "vfs":
                vfs = msgspec.json.decode(body, type=HostVfs)
                controller.vfs.setdefault(self._host(), []).append(vfs)
            elif what == "state":
                state = msgspec.json.decode(body, type=HostState)
                controller.states.setdefault(self._host(), []).append(state)
            else:
                controller.consoles[rest] = body.decode()
        self._answer(204, b"")

    def do_POST(self) -> None:
        controller, _, _ = self._begin()
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if controller.refuse or "token" not in asked:
            self._answer(controller.refuse or 204, b"")
            return
        if asked["token"] != controller.token:
            self._answer(401, b"the token was used already")
            return
        controller.host_ids[asked["host_name"]] = asked["host_id"]
        self._answer(200, json.dumps({"credential": f"of-{asked['host_id']}"}).encode())

    def _begin(self) -> tuple[Controller, str, str]:
        parts = urlsplit(self.path).path.removeprefix(PREFIX).strip("/").split("/")
        return self.server.controller, parts[2] if len(parts) > 2 else "", parts[-1]

    def _host(self) -> str:
        host_id = self.path.removeprefix(PREFIX).split("/")[2]
        assert self.headers["Authorization"] == f"Bearer of-{host_id}"
        return host_id

    def _desired(self, controller: Controller) -> None:
        query = parse_qs(urlsplit(self.path).query)
        after = query.get("after", [""])[0]
        host_id = self._host()

        def is_new() -> bool:
            wanted = controller.desired.get(host_id)
            is_other = wanted is not None and f"{wanted.generation}.{wanted.mark}" != after
            return controller.closing or controller.frozen or is_other

        with controller.changed:
            controller.polls.append(after)
            has_come = controller.changed.wait_for(is_new, float(query["wait"][0]))
            wanted = controller.desired.get(host_id)
        if controller.closing:
            self._answer(503, b"closing")
        elif controller.frozen:
            self._answer(409, b"this host is frozen")
        elif not has_come or wanted is None:
            self._answer(304, b"")
        else:
            self._answer(200, msgspec.json.encode(wanted))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Agents hang up when they are stopped; everything else shows in what they report."""

    def __init__(self, controller: Controller, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.controller = controller


@contextmanager
def serving(
    controller: Controller, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Answer for *controller* until the end of the block; gives the URL."""
    controller.closing = False
    server = _Server(controller, port)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    scheme = "http" if tls is None else "https"
    controller.url = f"{scheme}://127.0.0.1:{server.server_address[1]}"
    try:
        yield controller.url
    finally:
        with controller.changed:
            controller.closing = True
            controller.changed.notify_all()
        server.shutdown()
        thread.join()
        server.server_close()
