"""What monitoring sees."""

import shutil
import subprocess

import httpx
import pytest

from running import BIN, Instance

pytestmark = pytest.mark.client

PROMTOOL = shutil.which("promtool", path=f"{BIN}:/usr/local/bin:/usr/bin")


def test_health_and_readiness_are_open_on_loopback(shared: Instance) -> None:
    for path in ("/healthz", "/readyz"):
        assert httpx.get(shared.url + path).status_code == 200


def test_metrics_tell_of_devices_claims_and_agents(shared: Instance) -> None:
    text = httpx.get(f"{shared.url}/metrics").text
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    for wanted in ("device", "claim", "refus", "clean", "agent"):
        assert any(wanted in name for name in names), (wanted, names)


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool; ./dev setup unpacks it where it can")
def test_promtool_finds_nothing_to_say(shared: Instance) -> None:
    assert PROMTOOL is not None
    text = httpx.get(f"{shared.url}/metrics").text
    ended = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
