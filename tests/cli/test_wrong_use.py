"""What a user gets wrong on the command line, and is told; nothing is made by it."""

import shlex
import subprocess
from pathlib import Path

import pytest

from lanekeeper.main import main
from running import LANEKEEPER


@pytest.mark.parametrize("verb", ["run", "rotate"])
def test_a_host_that_was_never_enrolled_gets_no_directory(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "agent"
    assert main(["agent", verb, "--state-dir", str(home)]) == 2
    assert f"error: {home} belongs to no enrolled host" in capsys.readouterr().err
    assert not home.exists()


@pytest.mark.parametrize(
    "url",
    ["nonsense", "ftp://h/v3", "http://", "http://h:99999/v3", "http://[::1/v3", "http://h:0"],
)
def test_an_address_that_is_none_is_not_asked(
    url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("OS_CLOUD", raising=False)
    for name, value in (("AUTH_URL", url), ("USERNAME", "a"), ("PASSWORD", "b")):
        monkeypatch.setenv(f"OS_{name}", value)
    assert main(["device", "list"]) == 2
    assert f"error: OS_AUTH_URL {url!r} is not http://HOST:PORT" in capsys.readouterr().err
    (tmp_path / "token").write_text("admin")
    at = ["--placement", url, "--placement-token-file", str(tmp_path / "token")]
    assert main(["inventory", "export", *at]) == 2
    assert f"error: --placement {url!r} is not http://HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["https://[::1", "https://h:99999", "ftp://h", "nonsense"])
def test_an_address_that_is_none_is_not_enrolled_with(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = f"lk1.{'0' * 64}.{'s' * 32}"
    at = ["--controller", url, "--token", token, "--state-dir", str(tmp_path / "agent")]
    assert main(["agent", "enroll", *at]) == 2
    assert f"error: controller {url!r} is none: https is required" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "none")
    placement = ["--placement", "http://127.0.0.1:1", "--placement-token-file", file]
    enroll = ["--controller", "https://127.0.0.1:1", "--state-dir", str(tmp_path / "agent")]
    for words in (
        ["verify", "--database-url-file", file],
        ["inventory", "export", *placement],
        ["agent", "enroll", *enroll, "--token-file", file],
    ):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert said == f"error: {file} cannot be read: No such file or directory\n"


def test_an_empty_token_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = ["--placement", "http://127.0.0.1:1", "--placement-token-file", "/dev/null"]
    assert main(["inventory", "export", *at]) == 2
    assert "error: /dev/null holds no token" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--bogus"], "usage: lanekeeper [-h]"),
        (["host", "--bogus"], "usage: lanekeeper host [-h]"),
        (["host", "check", "--bogus"], "usage: lanekeeper host check [-h]"),
    ],
)
def test_who_was_given_an_unknown_option_says_so_with_its_own_usage(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(told)
    assert "unrecognized arguments: --bogus" in said


@pytest.mark.parametrize("noun", ["up", "controller", "placement", "explain"])
def test_help_says_what_a_command_does_and_its_exit_codes(
    noun: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([noun, "--help"])
    assert "Exit code 0" in " ".join(capsys.readouterr().out.split())


def refused(*words: str) -> str:
    """What a program that logs says when its use is wrong; in a process, for its log's sake."""
    ended = subprocess.run(
        [LANEKEEPER, *words], check=False, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


@pytest.mark.parametrize(
    ("query", "hint"), [("host=/tmp&foo=bar", "host, port"), ("sslmod=require", "did you mean")]
)
def test_an_option_that_postgresql_does_not_have_is_named(
    query: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(f"postgresql://u:geheim@/x?{query}")
    for words in (["verify"], ["controller"]):
        at = ["--state-dir", str(tmp_path / "s"), "--database-url-file", str(tmp_path / "url")]
        said = refused(*words, *at)
        assert "error: the database URL has the option" in said
        assert hint in said
        assert "geheim" not in said


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_that_is_none_is_named(
    content: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    monkeypatch.delenv("OS_CLOUD", raising=False)
    told = {"AUTH_URL": "https://h:1", "USERNAME": "a", "PASSWORD": "b", "CACERT": str(path)}
    for name, value in told.items():
        monkeypatch.setenv(f"OS_{name}", value)
    assert main(["device", "list"]) == 2
    assert f"error: cacert (OS_CACERT) {path} " in capsys.readouterr().err


@pytest.mark.parametrize("token", ["t\u00f6ken", "two words", "two\nlines"])
def test_a_token_that_no_header_carries_is_refused(
    token: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    file.write_text(token)
    at = ["--placement", "http://127.0.0.1:1", "--placement-token-file", str(file)]
    assert main(["inventory", "export", *at]) == 2
    assert f"error: {file} holds no token" in capsys.readouterr().err


def test_up_without_plain_http_is_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    home = tmp_path / "state"
    at = ["--state-dir", str(home), "--listen", "https://127.0.0.1:0", "--simulate", "1"]
    said = refused("up", *at)
    assert "add --listen 127.0.0.1:0" in said
    assert "controller.started" not in said
    assert not home.exists()


@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
def test_an_output_that_takes_nothing_is_told_in_a_line(where: str, tmp_path: Path) -> None:
    program = shlex.join([str(LANEKEEPER), "host", "show"])
    done = subprocess.run(
        ["sh", "-c", f"{program} --simulate {tmp_path / 'host'} {where}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    if where == ">/dev/full":
        assert done.returncode == 3
        assert "cannot be written: No space left on device" in done.stderr
