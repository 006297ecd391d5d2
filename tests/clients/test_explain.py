"""``lanekeeper explain`` and ``lanekeeper device`` against a running controller."""

import json
import subprocess

import pytest

from clients.conftest import Surroundings
from running import Instance, lanekeeper

pytestmark = pytest.mark.client


def run(instance: Instance, *words: str) -> subprocess.CompletedProcess[str]:
    return lanekeeper(*words, env=instance.environment)


def test_a_server_that_might_be_is_placed_in_words(
    shared: Instance, surroundings: Surroundings
) -> None:
    port = surroundings.port()
    told = run(shared, "explain", "--flavor", surroundings.alias, "--port", port)
    assert told.returncode == 0, told.stderr
    assert "2 of 2 hosts fit" in told.stdout
    assert "fits, choice 1 with 0000:" in told.stdout
    as_json = run(shared, "explain", "--flavor", surroundings.alias, "--json")
    assert json.loads(as_json.stdout)["fits"] is True


def test_what_fits_nowhere_ends_with_1_and_the_reasons(
    shared: Instance, surroundings: Surroundings
) -> None:
    shared.openstack(
        *["flavor", "create", "--ram", "64", "--vcpus", "1", "--disk", "1"],
        *["--property", "pci_passthrough:alias=a1:9", "nine"],
    )
    told = run(shared, "explain", "--flavor", "nine")
    assert told.returncode == 1
    assert "alias a1 needs 9" in told.stdout
    assert "what would help:" in told.stdout
    arguments = surroundings.server_arguments("nine")
    shared.refused("server", "create", *arguments, "--wait", "explained")
    told = run(shared, "explain", "--server", "explained")
    assert told.returncode == 1
    assert told.stdout.startswith("No valid host was found.")
    shared.done("server", "delete", "--wait", "explained")


def test_an_image_is_named_by_its_name(shared: Instance, surroundings: Surroundings) -> None:
    (image,) = shared.sdk.image.images(name=surroundings.image)
    for named in (surroundings.image, image.id):
        told = run(shared, "explain", "--flavor", surroundings.alias, "--image", named)
        assert told.returncode == 0, told.stderr
    told = run(shared, "explain", "--flavor", surroundings.alias, "--image", 'no "such, image')
    assert told.returncode == 2
    assert 'no "such, image' in told.stderr


def test_a_wrong_question_ends_with_2(shared: Instance) -> None:
    told = run(shared, "explain", "--flavor", "no-such-flavor")
    assert told.returncode == 2
    assert "no-such-flavor" in told.stderr


def test_devices_are_listed_with_their_holders(shared: Instance) -> None:
    listed = run(shared, "device", "list", "--host", "sim-1")
    assert listed.returncode == 0, listed.stderr
    lines = listed.stdout.splitlines()
    heading = "HOST ADDRESS DEVICE SERVES STATE HEALTH HOLDER ID"
    assert lines[0].split() == heading.split()
    assert len(lines) > 14
    device_id = lines[1].split()[-1]
    shown = run(shared, "device", "show", device_id, "--json")
    assert json.loads(shown.stdout)["id"] == device_id
    assert run(shared, "device", "clean", device_id).returncode == 1


def test_an_order_takes_an_address_where_it_says_which_device_is_meant(shared: Instance) -> None:
    address = "0000:41:10.6"
    told = run(shared, "device", "retire", address)
    assert (told.returncode, told.stdout) == (1, "")
    assert "2 devices are at 0000:41:10.6, on sim-1, sim-2" in told.stderr
    assert "--host HOST" in told.stderr
    try:
        kept = run(shared, "device", "retire", address, "--host", "sim-2", "--json")
        assert json.loads(kept.stdout)["reserved"] == "retired"
    finally:
        back = run(shared, "device", "release", address, "--host", "sim-2", "--json")
    assert json.loads(back.stdout)["reserved"] == ""
    assert "--host HOST" in run(shared, "device", "show", address).stderr
    shown = run(shared, "device", "show", address, "--host", "sim-2", "--json")
    assert json.loads(shown.stdout)["id"] == json.loads(back.stdout)["id"]
    for verb in ("clean", "history", "show"):
        nowhere = run(shared, "device", verb, "0000:99:00.0", "--host", "sim-1")
        assert nowhere.returncode == 1
        assert "no device of sim-1 is at 0000:99:00.0" in nowhere.stderr


def test_a_host_or_state_that_is_none_is_named_with_those_that_are(shared: Instance) -> None:
    told = run(shared, "device", "list", "--host", "sim-9")
    assert (told.returncode, told.stdout) == (1, "")
    assert "error: no host is called 'sim-9'" in told.stderr
    assert "there are sim-1, sim-2" in told.stderr
    told = run(shared, "device", "list", "--state", "free")
    assert (told.returncode, told.stdout) == (2, "")
    known = "available, held, cleaning, quarantined, unlisted, missing"
    assert f"error: state 'free' is none of {known}" in told.stderr
    for state in ("missing", "unlisted"):
        assert run(shared, "device", "list", "--state", state).returncode == 0


@pytest.mark.parametrize("device", ["", "nope", "../hosts", "a/b", "%2e%2e"])
@pytest.mark.parametrize("verb", ["show", "clean"])
def test_what_is_no_id_names_no_device(shared: Instance, verb: str, device: str) -> None:
    told = run(shared, "device", verb, device)
    assert told.returncode == 2
    assert f"error: {device!r} is not the id of a device" in told.stderr
