"""Key pairs of a user."""

from pathlib import Path

import pytest

from running import Instance

pytestmark = pytest.mark.client


def test_a_key_pair_is_made_listed_shown_and_deleted(shared: Instance, tmp_path: Path) -> None:
    private = tmp_path / "key"
    made = shared.openstack("keypair", "create", "--private-key", str(private), "mine")
    assert "PRIVATE KEY" in private.read_text()
    rows = shared.openstack("keypair", "list")
    assert made["fingerprint"] in {row["Fingerprint"] for row in rows}
    assert shared.done("keypair", "show", "--public-key", "mine").startswith("ssh-")
    shared.done("keypair", "delete", "mine")
    assert "mine" in shared.refused("keypair", "show", "mine")


def test_a_public_key_that_is_none_is_refused(shared: Instance, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pub"
    wrong.write_text("this is no key\n")
    assert "400" in shared.refused("keypair", "create", "--public-key", str(wrong), "wrong")
    assert "wrong" not in {row["Name"] for row in shared.openstack("keypair", "list")}
