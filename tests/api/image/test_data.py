"""The bytes of images, in and out, and what is left when one end goes away."""

import asyncio
import hashlib
import itertools
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from api.identity_site import Client, World
from lanekeeper.config import Config
from lanekeeper.control.caller import Caller
from lanekeeper.control.image.data import begin_upload, import_staged, recover_uploads
from lanekeeper.control.image.image import finish_deletions, image_for_server, image_path
from lanekeeper.domain.errors import Conflict, Invalid, NotFound, Unavailable
from lanekeeper.store.image.copy import image_copy_add
from lanekeeper.store.image.image import image_status
from lanekeeper.store.tables import image as table
from lanekeeper.store.tables import image_copy
from meanwhile import meanwhile

pytestmark = pytest.mark.service

V2 = "/image/v2/images"
OCTETS = {"Content-Type": "application/octet-stream"}
DATA = bytes(range(256)) * 12_289  # 3 MiB and a little


def make(client: Client, **more: object) -> str:
    body = {"name": "disk", "disk_format": "raw", "container_format": "bare", **more}
    image_id: str = client.post(V2, body)["id"]
    return image_id


def put(
    client: Client, image_id: str, content: Any = DATA, where: str = "file", **head: str
) -> Any:
    return client.raw(
        "PUT", f"{V2}/{image_id}/{where}", content=content, headers={**OCTETS, **head}
    )


def files(one: World) -> list[str]:
    directory = one.site.state_dir / "images"
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


def pieces(count: int = 50) -> Iterator[bytes]:
    size = -(-len(DATA) // count)
    for start in range(0, len(DATA), size):
        yield DATA[start : start + size]


@pytest.fixture
def ann(one: World) -> Client:
    return one.member("ann")


def test_an_upload_makes_the_image_active_with_checksums(one: World, ann: Client) -> None:
    image_id = make(ann)
    assert ann.raw("GET", f"{V2}/{image_id}/file").status_code == 204
    reply = put(ann, image_id, pieces(), **{"x-openstack-image-size": str(len(DATA))})
    assert (reply.status_code, reply.content) == (204, b"")
    shown = ann.get(f"{V2}/{image_id}")
    assert (shown["status"], shown["size"], shown["virtual_size"]) == (
        *("active", len(DATA)),
        len(DATA),
    )
    assert shown["checksum"] == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    assert shown["os_hash_algo"] == "sha512"
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert files(one) == [image_id]
    assert image_path(one.site, image_id).read_bytes() == DATA
    assert image_path(one.site, image_id).stat().st_mode & 0o777 == 0o600
    assert put(ann, image_id).status_code == 409


def test_what_was_uploaded_is_downloaded_whole_or_in_part(ann: Client) -> None:
    image_id = make(ann)
    put(ann, image_id)
    path = f"{V2}/{image_id}/file"
    whole = ann.raw("GET", path)
    assert whole.content == DATA
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-md5"] == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    part = ann.raw("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, DATA[10:20])
    assert "content-md5" not in part.headers


def test_a_refused_upload_leaves_a_queued_image_and_no_file(one: World, ann: Client) -> None:
    backed = struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 104, 11, 16, 2**30).ljust(600, b"\0")
    raw, qcow2 = make(ann), make(ann, disk_format="qcow2")
    bare = ann.post(V2, {"name": "no formats"})["id"]
    for image_id, content, head, status, text in (
        (raw, DATA, {"x-openstack-image-size": "5"}, 400, "5 bytes were announced"),
        (raw, DATA, {"x-openstack-image-size": "-5"}, 400, "not a number of bytes"),
        (raw, backed, {}, 400, "disk_format is raw, but the data is qcow2"),
        (raw, b"x", {"Content-Type": "text/plain"}, 415, "text/plain"),
        (qcow2, DATA, {}, 400, "disk_format is qcow2, but the data is not"),
        (qcow2, backed, {}, 400, "has a backing file"),
        (bare, DATA, {}, 400, "disk_format, container_format must be set"),
    ):
        reply = put(ann, image_id, content, **head)
        assert (text, reply.status_code) == (text, status)
        assert text in reply.json()["message"]
        assert ann.get(f"{V2}/{image_id}")["status"] == "queued"
        assert files(one) == []
    assert put(ann, raw).status_code == 204


def test_an_image_larger_than_is_taken_is_refused(one: World, ann: Client) -> None:
    own = msgspec.structs.replace(Config().lanekeeper, image_bytes_max=2**20)
    object.__setattr__(one.site, "config", msgspec.structs.replace(Config(), lanekeeper=own))
    image_id = make(ann)
    announced = put(ann, image_id)
    chunked = put(ann, image_id, pieces())
    assert [announced.status_code, chunked.status_code] == [413, 413]
    assert "1048576 bytes" in chunked.json()["message"]
    assert files(one) == []
    assert put(ann, image_id, DATA[: 2**20]).status_code == 204


def test_a_client_that_goes_away_leaves_nothing(one: World, ann: Client) -> None:
    image_id = make(ann)
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": DATA, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        del message  # nobody is there to be told

    scope = {
        **{"type": "http", "http_version": "1.1", "method": "PUT", "scheme": "http"},
        **{"path": f"{V2}/{image_id}/file", "raw_path": b"", "query_string": b""},
        **{"root_path": "", "server": ("testserver", 80), "client": ("127.0.0.1", 1)},
        "headers": [
            (b"x-auth-token", ann.token.encode()),
            (b"content-type", b"application/octet-stream"),
        ],
    }
    asyncio.run(one.http.app(scope, receive, send))  # type: ignore[arg-type]  # a bare ASGI call
    assert ann.get(f"{V2}/{image_id}")["status"] == "queued"
    assert files(one) == []
    assert put(ann, image_id).status_code == 204


def test_of_uploads_at_once_one_wins_and_others_run_beside_it(one: World, ann: Client) -> None:
    same, other = make(ann), make(ann)
    first = begin_upload(one.site, caller(ann), same)
    beside = begin_upload(one.site, caller(ann), other)
    with pytest.raises(Conflict, match="only a queued image takes data"):
        begin_upload(one.site, caller(ann), same)
    barrier = threading.Barrier(2)

    def run(upload: Any) -> None:
        barrier.wait()
        for piece in pieces():
            upload.write(piece)
        upload.finish()

    threads = [threading.Thread(target=run, args=(upload,)) for upload in (first, beside)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for image_id in (same, other):
        assert ann.raw("GET", f"{V2}/{image_id}/file").content == DATA


def test_an_image_deleted_during_its_upload_leaves_nothing(one: World, ann: Client) -> None:
    image_id = make(ann)
    upload = begin_upload(one.site, caller(ann), image_id)
    upload.write(DATA)
    ann.delete(f"{V2}/{image_id}")
    with pytest.raises(Conflict, match="deleted while its data came in"):
        upload.finish()
    upload.abort()
    assert files(one) == []


def test_deleting_an_image_removes_its_data(one: World, ann: Client) -> None:
    image_id = make(ann)
    put(ann, image_id)
    ann.delete(f"{V2}/{image_id}")
    assert files(one) == []
    assert ann.raw("GET", f"{V2}/{image_id}/file").status_code == 404


def test_staged_data_becomes_an_image_by_import(one: World, ann: Client) -> None:
    image_id = make(ann)
    path = f"{V2}/{image_id}/import"
    direct = {"method": {"name": "glance-direct"}}
    assert ann.raw("POST", path, direct).status_code == 409
    assert put(ann, image_id, where="stage").status_code == 204
    shown = ann.get(f"{V2}/{image_id}")
    assert (shown["status"], shown["size"]) == ("uploading", None)
    assert ann.raw("POST", path, {"method": {"name": "web-download"}}).status_code == 501
    assert ann.raw("POST", path, direct).status_code == 202
    assert ann.get(f"{V2}/{image_id}")["size"] == len(DATA)
    assert ann.raw("GET", f"{V2}/{image_id}/file").content == DATA
    assert files(one) == [image_id]


def test_the_format_stays_once_there_is_data(ann: Client) -> None:
    image_id = make(ann)
    put(ann, image_id)
    operation = {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    head = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    assert ann.raw("PATCH", f"{V2}/{image_id}", [operation], headers=head).status_code == 403


def test_a_deactivated_image_is_not_handed_out(one: World, ann: Client) -> None:
    image_id = make(ann)
    put(ann, image_id)
    admin = one.as_admin()
    actions = f"{V2}/{image_id}/actions"
    assert ann.raw("POST", f"{actions}/deactivate").status_code == 403
    assert admin.raw("POST", f"{actions}/deactivate").status_code == 204
    assert ann.raw("GET", f"{V2}/{image_id}/file").status_code == 403
    assert admin.raw("POST", f"{actions}/reactivate").status_code == 204
    assert ann.raw("GET", f"{V2}/{image_id}/file").status_code == 200


# After a kill -------------------------------------------------------------------------------------


def status(one: World, image_id: str, value: str) -> None:
    change = table.update().where(table.c.id == image_id).values(status=value)
    one.site.database.write(lambda connection: connection.execute(change))


def test_a_kill_during_an_upload_leaves_a_queued_image(one: World, ann: Client) -> None:
    image_id = make(ann)
    incoming = one.site.state_dir / "images" / "incoming"
    incoming.mkdir(parents=True)
    (incoming / f"{image_id}.0123").write_bytes(DATA)
    status(one, image_id, "saving")
    recover_uploads(one.site)
    assert (ann.get(f"{V2}/{image_id}")["status"], files(one)) == ("queued", [])


def test_a_kill_between_the_name_and_the_database_leaves_a_queued_image(
    one: World, ann: Client
) -> None:
    image_id = make(ann)
    put(ann, image_id)
    status(one, image_id, "saving")
    recover_uploads(one.site)
    assert (ann.get(f"{V2}/{image_id}")["status"], files(one)) == ("queued", [])


@pytest.mark.parametrize("renamed", [True, False])
def test_a_kill_during_an_import_leaves_staged_data(one: World, ann: Client, renamed: bool) -> None:
    image_id = make(ann)
    put(ann, image_id, where="stage")
    status(one, image_id, "importing")
    if renamed:
        final = image_path(one.site, image_id)
        Path(f"{final}.staged").rename(final)
    recover_uploads(one.site)
    direct = {"method": {"name": "glance-direct"}}
    assert ann.raw("POST", f"{V2}/{image_id}/import", direct).status_code == 202
    assert ann.raw("GET", f"{V2}/{image_id}/file").content == DATA


@pytest.mark.parametrize("away", [1, 2])
def test_an_import_that_the_database_cut_off_can_be_asked_for_again(
    one: World, ann: Client, away: int
) -> None:
    """The first time it is away before anything is written, the second after the renaming."""
    image_id, writes = make(ann), itertools.count(1)
    put(ann, image_id, where="stage")

    def goes() -> None:
        if next(writes) == away:
            raise Unavailable("the database is away")

    admin = Caller(user_id="a", user_name="a", project_id="p", roles=frozenset({"admin"}))
    with pytest.raises(Unavailable):
        import_staged(meanwhile(one.site, goes), admin, image_id)
    direct = {"method": {"name": "glance-direct"}}
    assert ann.raw("POST", f"{V2}/{image_id}/import", direct).status_code == 202
    assert ann.get(f"{V2}/{image_id}")["status"] == "active"
    assert ann.raw("GET", f"{V2}/{image_id}/file").content == DATA
    assert files(one) == [image_id]
    assert ann.raw("POST", f"{V2}/{image_id}/import", direct).status_code == 409


def test_two_imports_at_once_are_one(one: World, ann: Client) -> None:
    image_id, writes = make(ann), itertools.count(1)
    put(ann, image_id, where="stage")
    admin = Caller(user_id="a", user_name="a", project_id="p", roles=frozenset({"admin"}))

    def rival() -> None:
        if next(writes) == 2:  # the first is between its name and its end
            import_staged(one.site, admin, image_id)

    import_staged(meanwhile(one.site, rival), admin, image_id)
    assert ann.raw("GET", f"{V2}/{image_id}/file").content == DATA


def test_a_kill_during_a_deletion_is_made_up_for(one: World, ann: Client) -> None:
    kept, deleted = make(ann), make(ann)
    for image_id in (kept, deleted):
        put(ann, image_id)
    status(one, deleted, "deleted")
    assert ann.raw("GET", f"{V2}/{deleted}").status_code == 404
    recover_uploads(one.site)
    finish_deletions(one.site)
    assert files(one) == [kept]


def test_a_deleted_image_is_known_until_every_controller_has_dropped_its_copy(
    one: World, ann: Client
) -> None:
    image_id = make(ann)
    put(ann, image_id)
    here = one.site.controller_id
    one.site.database.write(lambda connection: image_copy_add(connection, image_id, "other"))
    assert ann.raw("DELETE", f"{V2}/{image_id}").status_code == 204
    assert (files(one), known(one, image_id)) == ([], True)
    one.site.controller_id = "other"  # what that one does now and then
    image_path(one.site, image_id).write_bytes(DATA)
    finish_deletions(one.site)
    one.site.controller_id = here
    assert (files(one), known(one, image_id)) == ([], False)


def test_bytes_from_before_copies_were_counted_are_noted_at_the_start(
    one: World, ann: Client
) -> None:
    image_id, short = make(ann), make(ann)
    for each in (image_id, short):
        put(ann, each)
    one.site.database.write(lambda connection: connection.execute(image_copy.delete()))
    image_path(one.site, short).write_bytes(DATA[:-1])
    recover_uploads(one.site)
    with one.site.database.read() as connection:
        noted = connection.scalars(sa.select(image_copy.c.image_id)).all()
    assert noted == [image_id]


def known(one: World, image_id: str) -> bool:
    with one.site.database.read() as connection:
        return image_status(connection, image_id) is not None


def test_data_without_a_row_is_not_thrown_away(one: World) -> None:
    directory = one.site.state_dir / "images"
    directory.mkdir()
    lost = "00000000-0000-4000-8000-000000000000"
    (directory / lost).write_bytes(DATA)
    recover_uploads(one.site)
    finish_deletions(one.site)
    assert files(one) == [lost]


# For servers --------------------------------------------------------------------------------------


def caller(client: Client) -> Caller:
    return Caller(
        user_id=client.user_id,
        user_name="ann",
        project_id=client.project_id,
        roles=frozenset({"member", "reader"}),
    )


def test_a_server_gets_an_image_that_it_can_boot_from(one: World, ann: Client) -> None:
    image_id, iso = make(ann, hw_machine_type="q35", min_ram=64), make(ann, disk_format="iso")
    put(ann, iso)
    stranger = Caller(user_id="x", user_name="x", project_id="x")
    with one.site.database.read() as connection:
        with pytest.raises(Invalid, match="its status is queued"):
            image_for_server(connection, caller(ann), image_id)
        with pytest.raises(Invalid, match="disk_format iso"):
            image_for_server(connection, caller(ann), iso)
        for who, wanted in ((stranger, image_id), (caller(ann), "../x"), (caller(ann), "")):
            with pytest.raises(NotFound):
                image_for_server(connection, who, wanted)
    put(ann, image_id)
    with one.site.database.read() as connection:
        found = image_for_server(connection, caller(ann), image_id)
    assert (found.sha512, found.size_bytes) == (hashlib.sha512(DATA).hexdigest(), len(DATA))
    assert (found.min_ram_mib, found.properties) == (64, {"hw_machine_type": "q35"})
