"""Ansible's openstack.cloud, from an environment of its own: twice, the second time no change."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from running import Instance

pytestmark = pytest.mark.client

HERE = Path(__file__).parent
ANSIBLE = HERE.parents[2] / ".venv-ansible" / "bin" / "ansible-playbook"


def play(instance: Instance, tmp_path: Path, disk: Path, public_key: str) -> dict[str, int]:
    """Run the playbook once; return the counts of its recap."""
    variables = ["-e", f"disk={disk}", "-e", f"public_key='{public_key}'"]
    ended = subprocess.run(
        [str(ANSIBLE), "-i", "localhost,", str(HERE / "playbook.yml"), *variables],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=tmp_path,
        timeout=180,
        env={
            **instance.environment,
            "PATH": f"{ANSIBLE.parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "LC_ALL": "C.UTF-8",
        },
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    recap = next(line for line in ended.stdout.splitlines() if line.startswith("localhost"))
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", recap)}


@pytest.mark.skipif(not ANSIBLE.exists(), reason="no .venv-ansible; ./dev setup makes it")
def test_the_second_run_changes_nothing(fresh: Instance, tmp_path: Path, disk: Path) -> None:
    public = Ed25519PrivateKey.generate().public_key()
    key = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    first = play(fresh, tmp_path, disk, key)
    assert (first["changed"], first["failed"]) == (7, 0)
    second = play(fresh, tmp_path, disk, key)
    assert (second["changed"], second["failed"]) == (0, 0)
