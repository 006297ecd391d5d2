"""Images without their data: made, found, changed, deleted."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from api.identity_site import Client, World
from lanekeeper.control.image.image import hold_images
from lanekeeper.domain.errors import Conflict
from lanekeeper.store.tables import server

pytestmark = pytest.mark.service

V2 = "/image/v2/images"
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def make(client: Client, name: str = "disk", **more: object) -> Any:
    body = {"name": name, "disk_format": "raw", "container_format": "bare", **more}
    return client.post(V2, body)


def patch(client: Client, image: Any, *operations: Mapping[str, object]) -> Any:
    return client.raw("PATCH", f"{V2}/{image['id']}", list(operations), headers=PATCH)


def names(client: Client, query: str = "") -> list[str]:
    return [image["name"] for image in client.get(V2 + query)["images"]]


def test_versions_need_no_token(one: World) -> None:
    chosen = one.http.get("/image/")
    assert chosen.status_code == 300
    assert chosen.json()["versions"][0] == {
        "id": "v2.17",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": "http://testserver/image/v2/"}],
    }
    assert one.http.get("/image/versions").json() == chosen.json()


def test_an_image_is_made_as_the_client_sends_it(one: World) -> None:
    ann = one.member("ann")
    properties = {
        "hw_machine_type": "q35",
        "owner_specified.openstack.md5": "",
        "a:b.c": "d",
        "kernel_id": str(uuid.uuid4()),
    }
    reply = ann.raw("POST", V2, {"name": "disk", "min_disk": 1, "tags": ["b", "a"], **properties})
    made = reply.json()
    assert reply.status_code == 201
    assert reply.headers["location"] == f"http://testserver/image/v2/images/{made['id']}"
    assert {key: made[key] for key in properties} == properties
    assert (made["status"], made["visibility"], made["owner"]) == (
        "queued",
        "shared",
        ann.project_id,
    )
    assert (made["tags"], made["min_disk"], made["size"]) == (["a", "b"], 1, None)
    assert made["created_at"][-1] == "Z"
    assert ann.get(f"{V2}/{made['id']}") == made


def test_a_patch_adds_replaces_and_removes(one: World) -> None:
    ann = one.member("ann")
    image = make(ann, old="1")
    changed = patch(
        ann,
        image,
        {"op": "add", "path": "/old", "value": "2"},
        {"op": "add", "path": "/a~1b~0c", "value": "slash"},
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/min_disk", "value": 3},
        {"op": "add", "path": "/tags", "value": ["t"]},
        {"op": "add", "path": "/protected", "value": True},
    ).json()
    assert [changed[k] for k in ("old", "a/b~c", "name", "min_disk", "tags", "protected")] == [
        *("2", "slash", "new", 3, ["t"], True)
    ]
    assert ann.get(f"{V2}/{image['id']}") == changed
    removed = patch(ann, image, {"op": "remove", "path": "/old"}).json()
    assert "old" not in removed


def test_a_refused_patch_changes_nothing(one: World) -> None:
    ann = one.member("ann")
    image = make(ann)
    good = {"op": "add", "path": "/name", "value": "changed"}
    many = [{"op": "add", "path": f"/p{n}", "value": "v"} for n in range(129)]
    for operations, status, text in (
        ([{"op": "remove", "path": "/none"}], 409, "'none' does not exist"),
        ([{"op": "replace", "path": "/none", "value": "1"}], 409, "'none' does not exist"),
        ([{"op": "remove", "path": "/name"}], 403, "may not be removed"),
        ([{"op": "add", "path": "/size", "value": 1}], 403, "'size' is read-only"),
        ([{"op": "add", "path": "/id", "value": "1"}], 403, "'id' is read-only"),
        ([{"op": "add", "path": "/locations", "value": []}], 403, "reserved"),
        ([{"op": "add", "path": "/owner", "value": "other"}], 403, "owner"),
        ([{"op": "add", "path": "/visibility", "value": "public"}], 403, "publicize_image"),
        ([{"op": "add", "path": "/visibility", "value": "x"}], 400, "visibility"),
        ([{"op": "add", "path": "/a/b", "value": "1"}], 400, "JSON pointer"),
        ([{"op": "add", "path": "/a~2", "value": "1"}], 400, "JSON pointer"),
        ([{"op": "add", "path": "/a", "value": 1}], 400, "a property holds text"),
        ([{"op": "add", "path": "/a", "value": "x" * 65_536}], 400, "65536 characters"),
        ([{"op": "add", "path": "/" + "k" * 256, "value": "x"}], 400, "1 to 255 characters"),
        ([{"op": "add", "path": "/a"}], 400, "has no value"),
        ([{"op": "move", "path": "/a", "from": "/b"}], 400, "Invalid"),
        ([{"op": "add", "path": "/kernel_id", "value": "../x"}], 400, "kernel_id"),
        ([{"op": "add", "path": "/tags", "value": "t"}], 400, "tags"),
        (many, 413, "at most 128 properties"),
    ):
        reply = patch(ann, image, good, *operations)
        assert (operations, reply.status_code) == (operations, status)
        assert text in reply.json()["message"]
    plain = ann.raw("PATCH", f"{V2}/{image['id']}", [good])
    assert (plain.status_code, plain.json()["title"]) == (415, "Unsupported Media Type")
    assert ann.get(f"{V2}/{image['id']}") == image


@pytest.mark.parametrize("role", ["reader"])
def test_a_reader_changes_nothing(one: World, role: str) -> None:
    image = make(one.member("ann"))
    reader = one.member("bob", role, "ann-project")
    assert reader.get(f"{V2}/{image['id']}")["id"] == image["id"]
    for method, path in (
        ("POST", V2),
        ("PATCH", f"{V2}/{image['id']}"),
        ("DELETE", f"{V2}/{image['id']}"),
        ("PUT", f"{V2}/{image['id']}/file"),
        ("PUT", f"{V2}/{image['id']}/tags/t"),
    ):
        assert (path, reader.raw(method, path).status_code) == (path, 403)


def test_creation_is_checked(one: World) -> None:
    ann = one.member("ann")
    taken = make(ann)
    bodies: tuple[tuple[object, int, str], ...] = (
        ({"name": "x" * 256}, 400, "name"),
        ({"name": "a\0"}, 400, "NUL"),
        ({"id": "../../etc/passwd"}, 400, "id: it must be a UUID"),
        ({"id": "x" * 10_000}, 400, "id: it must be a UUID"),
        ({"id": taken["id"]}, 409, "already exists"),
        ({"disk_format": "zip"}, 400, "disk_format"),
        ({"container_format": "zip"}, 400, "container_format"),
        ({"min_ram": -1}, 400, "min_ram"),
        ({"min_ram": 2**40}, 400, "min_ram"),
        ({"min_disk": True}, 400, "min_disk"),
        ({"protected": "yes"}, 400, "protected"),
        ({"status": "active"}, 403, "'status' is read-only"),
        ({"os_glance_x": "1"}, 403, "reserved"),
        ({"owner": "other"}, 403, "owned by other"),
        ({"visibility": "public"}, 403, "publicize_image"),
        ({"tags": ["t" * 256]}, 400, "tags"),
        ({"tags": [str(n) for n in range(200)]}, 413, "tags"),
        ([], 400, "Expected `object`"),
    )
    for body, status, text in bodies:
        reply = ann.raw("POST", V2, body)
        assert (body, reply.status_code) == (body, status)
        assert text in reply.json()["message"]
        assert reply.json()["code"].startswith(str(status))
    assert names(ann) == ["disk"]


def test_ids_that_are_paths_are_no_images(one: World) -> None:
    ann = one.member("ann")
    for image_id in ("%2e%2e", "..%2f..%2fetc%2fpasswd", "x" * 10_000, "no-such"):
        for method, below in (("GET", ""), ("GET", "/file"), ("PUT", "/file"), ("DELETE", "")):
            reply = ann.raw(method, f"{V2}/{image_id}{below}")
            assert reply.status_code in {404, 405}, (method, image_id, reply.text)
    assert ann.raw("GET", f"{V2}/a%00b").status_code == 400


def test_projects_do_not_see_each_others_images(one: World) -> None:
    ann, bob, admin = one.member("ann"), one.member("bob"), one.as_admin()
    hidden = make(ann, "hidden")
    public = make(admin, "public", visibility="public")
    community = make(ann, "community", visibility="community")
    assert names(bob) == ["public"]
    assert names(bob, "?visibility=community") == ["community"]
    assert bob.get(f"{V2}/{community['id']}")["name"] == "community"
    assert bob.raw("GET", f"{V2}/{hidden['id']}").status_code == 404
    assert bob.raw("DELETE", f"{V2}/{hidden['id']}").status_code == 404
    assert bob.raw("DELETE", f"{V2}/{public['id']}").status_code == 403
    assert patch(bob, community).status_code == 403
    assert sorted(names(admin)) == ["hidden", "public"]
    assert sorted(names(admin, "?visibility=all")) == ["community", "hidden", "public"]


def test_lists_are_filtered(one: World) -> None:
    ann = one.member("ann")
    a = make(ann, "a", tags=["red", "big"], os_hidden=True)
    b = make(ann, "b", tags=["red"], hw_x="1", min_disk=2)
    c = make(ann, "c", disk_format="qcow2", tags=["Red"])
    for query, expected in (
        ("?name=a&os_hidden=True", "a"),
        ("?os_hidden=false", "bc"),
        (f"?id=in:{a['id']},{b['id']}&os_hidden=True", "a"),
        (f"?id=in:{b['id']},{c['id']}", "bc"),
        (f"?id={b['id']}", "b"),
        ('?name=in:"b",c', "bc"),
        ("?tag=red", "b"),
        ("?tag=red&tag=big&os_hidden=True", "a"),
        ("?status=queued", "bc"),
        ("?status=active", ""),
        ("?disk_format=qcow2", "c"),
        ("?hw_x=1", "b"),
        ("?hw_x=2", ""),
        ("?min_disk=2", "b"),
        ("?visibility=shared", "bc"),
        ("?visibility=private", ""),
        (f"?owner={ann.project_id}", "bc"),
        ("?owner=other", ""),
        ("?created_at=gte:2000-01-01T00:00:00Z", "bc"),
        ("?created_at=lt:2000-01-01T00:00:00Z", ""),
        ("?size_min=1", ""),
        ("?x.y:z%27=1", ""),
    ):
        assert (query, "".join(sorted(names(ann, query)))) == (query, expected)


def test_lists_are_sorted_and_paged(one: World) -> None:
    ann = one.member("ann")
    for name, size in (("b", 1), ("a", 2), ("c", 1), ("a", 1)):
        make(ann, name, min_disk=size)
        one.hands.turn(1)
    assert names(ann) == ["a", "c", "a", "b"]  # the newest first
    assert names(ann, "?sort=name:asc") == ["a", "a", "b", "c"]
    assert names(ann, "?sort_key=name&sort_dir=desc") == ["c", "b", "a", "a"]
    found, following = [], "/v2/images?limit=1&sort=min_disk:desc,name:asc"
    while following:
        body = ann.get(f"/image{following}")
        found += [(image["min_disk"], image["name"]) for image in body["images"]]
        following = body.get("next", "")
    assert found == [(2, "a"), (1, "a"), (1, "b"), (1, "c")]
    for query in (
        *("?limit=x", "?limit=-1", "?marker=none", "?sort=x:asc", "?sort=name:up", "?size_min=x"),
        *("?visibility=x", "?os_hidden=x", "?created_at=soon", f"?marker={uuid.uuid4()}"),
        "?created_at=gte:0001-01-01T00:00:00%2B23:59",
        "?updated_at=lt:9999-12-31T23:59:59-23:59",
        "?" + "&".join(f"p{number}=1" for number in range(101)),
    ):
        assert (query, ann.raw("GET", V2 + query).status_code) == (query, 400)


def test_tags_are_put_and_deleted_one_by_one(one: World) -> None:
    ann = one.member("ann")
    path = f"{V2}/{make(ann)['id']}"
    assert [ann.raw("PUT", f"{path}/tags/t").status_code for _ in range(2)] == [204, 204]
    assert ann.get(path)["tags"] == ["t"]
    ann.delete(f"{path}/tags/t")
    assert ann.raw("DELETE", f"{path}/tags/t").status_code == 404
    assert ann.raw("PUT", f"{path}/tags/{'t' * 256}").status_code == 400


def test_a_protected_image_is_not_deleted(one: World) -> None:
    ann = one.member("ann")
    image = make(ann, protected=True)
    refused = ann.raw("DELETE", f"{V2}/{image['id']}")
    assert (refused.status_code, "protected" in refused.json()["message"]) == (403, True)
    patch(ann, image, {"op": "replace", "path": "/protected", "value": False})
    ann.delete(f"{V2}/{image['id']}")
    assert ann.raw("GET", f"{V2}/{image['id']}").status_code == 404


def boot(one: World, image_id: str, **properties: str) -> None:
    now = datetime.now(UTC)
    row = {
        **{"id": str(uuid.uuid4()), "name": "web", "project_id": "p", "user_id": "u"},
        **{
            "image_id": image_id,
            "image_properties": properties,
            "vm_state": "active",
            "wanted": "running",
        },
        **{"created_at": now, "updated_at": now},
    }
    one.site.database.write(lambda connection: connection.execute(server.insert().values(**row)))


def test_an_image_that_servers_boot_from_is_not_deleted(one: World) -> None:
    ann = one.member("ann")
    kernel = make(ann, "kernel")
    root = make(ann, "root", kernel_id=kernel["id"])
    boot(one, root["id"], kernel_id=kernel["id"])
    for image in (root, kernel):
        refused = ann.raw("DELETE", f"{V2}/{image['id']}")
        assert refused.status_code == 409
        assert "in use by servers: web (" in refused.json()["message"]
    one.site.database.write(lambda connection: connection.execute(server.delete()))
    with one.site.database.read() as connection:
        hold_images(connection, [kernel["id"], root["id"]])
    ann.delete(f"{V2}/{kernel['id']}")
    with one.site.database.read() as connection, pytest.raises(Conflict, match="was deleted"):
        hold_images(connection, [kernel["id"], root["id"]])


def test_what_clients_ask_in_passing_is_answered(one: World) -> None:
    ann = one.member("ann")
    path = f"{V2}/{make(ann)['id']}"
    schema = ann.get("/image/v2/schemas/image")
    assert schema["properties"]["virtual_size"]["type"] == ["null", "integer"]
    assert ann.get("/image/v2/schemas/images")["name"] == "images"
    assert ann.get("/image/v2/info/import")["import-methods"]["value"] == ["glance-direct"]
    assert ann.get(f"{path}/members")["members"] == []
    assert ann.raw("POST", f"{path}/members", {"member": "p"}).status_code == 501
    assert ann.raw("GET", f"{path}/members/p").status_code == 404
    assert ann.raw("GET", "/image/v2/schemas/none").status_code == 404
    assert ann.raw("GET", "/image/v1/images").status_code == 404
