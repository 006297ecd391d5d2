import ssl
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.authority import Authority
from agent.controller import TOKEN, Controller
from lanekeeper.agent.enrolment import enrol
from lanekeeper.agent.state_dir import StateDir
from lanekeeper.domain.errors import Conflict, Invalid, Unauthenticated, Unavailable

SECRET = "a-one-time-token-for-tests"


class Door(BaseHTTPRequestHandler):
    """Answers with the CA and with credentials; says who asked with which token."""

    shown = b""
    status = 200
    tokens: list[bytes]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
        pass

    def do_GET(self) -> None:
        self._answer(self.shown)

    def do_POST(self) -> None:
        self.tokens.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b'{"credential": "secret"}')

    def _answer(self, body: bytes) -> None:
        self.send_response(self.status if self.command == "POST" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(
    signer: Authority, shown: Authority, tmp_path: Path, status: int = 200
) -> Iterator[tuple[str, list[bytes]]]:
    tokens: list[bytes] = []
    facts = {"shown": shown.pem, "tokens": tokens, "status": status}
    door = type("ThisDoor", (Door,), facts)
    server = ThreadingHTTPServer(("127.0.0.1", 0), door)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signer.sign_server(tmp_path / "server.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", tokens
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state")


@pytest.fixture
def honest(authority: Authority, tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    yield from serve(authority, authority, tmp_path)


@pytest.fixture
def impostor(authority: Authority, tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """Shows the right CA, as anybody can, but its own certificate is signed by another."""
    yield from serve(Authority(), authority, tmp_path)


@pytest.fixture
def refusing(tmp_path: Path) -> Iterator[tuple[Authority, str]]:
    """Another controller, which knows none of the tokens that it is shown."""
    other = Authority()
    home = tmp_path / "other"
    home.mkdir()
    for url, _ in serve(other, other, home, status=401):
        yield other, url


def test_the_ca_is_pinned_by_the_tokens_fingerprint(
    authority: Authority, honest: tuple[str, list[bytes]], state: StateDir
) -> None:
    url, tokens = honest
    enrol(state, url, f"lk1.{authority.fingerprint}.{SECRET}", "host")
    assert state.ca.read_bytes() == authority.pem
    assert state.credential() == "secret"
    assert (state.enrolled().controller, state.enrolled().host_name) == (url, "host")
    assert len(tokens) == 1


def test_another_ca_is_refused_before_the_token_is_shown(
    honest: tuple[str, list[bytes]], state: StateDir
) -> None:
    url, tokens = honest
    with pytest.raises(Conflict, match="is not the one that the token names"):
        enrol(state, url, f"lk1.{'0' * 64}.{SECRET}", "host")
    assert tokens == []
    assert not state.is_enrolled()


def test_an_impostor_who_shows_the_right_ca_never_sees_the_token(
    authority: Authority, impostor: tuple[str, list[bytes]], state: StateDir
) -> None:
    url, tokens = impostor
    with pytest.raises(Unavailable, match="a certificate that is not trusted"):
        enrol(state, url, f"lk1.{authority.fingerprint}.{SECRET}", "host")
    assert tokens == []


def test_an_address_that_answers_in_another_way_is_told_as_such(
    authority: Authority, honest: tuple[str, list[bytes]], state: StateDir
) -> None:
    url, tokens = honest
    pinned = f"lk1.{authority.fingerprint}.{SECRET}"
    with pytest.raises(Unavailable, match="does not name this address") as caught:
        enrol(state, url.replace("127.0.0.1", "localhost"), pinned, "host")
    assert "--name" in caught.value.hint
    with pytest.raises(Unavailable, match="ended the connection") as caught:
        enrol(state, url.replace("https:", "http:"), f"lk1.-.{SECRET}", "host")
    assert "https://" in caught.value.hint
    plain = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with pytest.raises(Unavailable, match="not with TLS") as caught:
            enrol(state, f"https://127.0.0.1:{plain.server_address[1]}", pinned, "host")
        assert "http://" in caught.value.hint
    finally:
        plain.shutdown()
        thread.join()
        plain.server_close()
    assert tokens == []
    assert not state.is_enrolled()


def test_a_refusal_leaves_an_earlier_enrolment_as_it_was(
    authority: Authority,
    honest: tuple[str, list[bytes]],
    refusing: tuple[Authority, str],
    state: StateDir,
) -> None:
    enrol(state, honest[0], f"lk1.{authority.fingerprint}.{SECRET}", "host")
    before = {path.name: path.read_bytes() for path in state.path.iterdir()}
    other, url = refusing
    with pytest.raises(Unauthenticated):
        enrol(state, url, f"lk1.{other.fingerprint}.{SECRET}", "other")
    assert {path.name: path.read_bytes() for path in state.path.iterdir()} == before


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("http://10.0.0.1:8774", TOKEN, "https is required"),
        ("http://example.org", TOKEN, "https is required"),
        ("ftp://127.0.0.1", TOKEN, "https is required"),
        ("https://127.0.0.1:1", TOKEN, "names no CA"),
        ("http://127.0.0.1:1", "lk1.short", "not of the form"),
        ("http://127.0.0.1:1", "", "not of the form"),
    ],
)
def test_what_is_wrong_is_said_without_a_connection(
    state: StateDir, url: str, token: str, message: str
) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        enrol(state, url, token, "host")
    assert SECRET not in str(caught.value)


def test_a_used_token_is_refused(controller: Controller, state: StateDir) -> None:
    with pytest.raises(Unauthenticated, match="401"):
        enrol(state, controller.url, "lk1.-.another-token-of-tests", "host")


def test_only_its_owner_reads_the_credential(controller: Controller, state: StateDir) -> None:
    enrol(state, controller.url, TOKEN, "host")
    mode = stat.S_IMODE((state.path / "credential").stat().st_mode)
    assert mode == 0o600


def test_a_host_keeps_its_id(tmp_path: Path) -> None:
    first = StateDir(tmp_path).host_id()
    assert StateDir(tmp_path).host_id() == first
    (tmp_path / "host.id").write_text("no uuid")
    with pytest.raises(Invalid, match=r"host.id.*not a uuid"):
        StateDir(tmp_path).host_id()
