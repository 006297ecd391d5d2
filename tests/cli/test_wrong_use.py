"""What a user gets wrong on the command line, and is told; nothing is made by it."""

from pathlib import Path

import pytest

from lanekeeper.main import main


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
    assert f"error: auth_url {url!r} is not http://HOST:PORT" in capsys.readouterr().err
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
