"""Rules about requests against a host's devices, answered by trying every choice there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lanekeeper.domain.pci.resource_class import resource_class_of, traits_of
from lanekeeper.domain.scheduling.host import HostDevice
from vectors.adapters.host import host_devices, listed_devices
from vectors.adapters.placing import kinds_of
from vectors.case import Answer, Data

_TRUE = {"1", "t", "true", "on", "y", "yes"}


def nothing_listed(data: Data) -> bool:
    """Nova's claim succeeds, with no device, on a host that tracks none."""
    return not host_devices(data)


def crosses_purpose(data: Data) -> bool:
    """A flavor that could eat a network's device, or a port without network a plain one."""
    tags = [device.offered.tags for device in host_devices(data)]
    for request in data["requests"]:
        is_port = request.get("source") == "port"
        if not is_port and any(one.get("physical_network") for one in tags):
            return True
        asks_none = any(spec.get("physical_network", "-") is None for spec in request["spec"])
        if is_port and asks_none and any("physical_network" not in one for one in tags):
            return True
    return False


def asks_for_flags(data: Data) -> bool:
    """A port that says trusted: text against text in Nova, true or false here."""
    return any("trusted" in spec for one in data["requests"] for spec in one["spec"])


def excludes_itself(data: Data) -> bool:
    """A PF and VFs are asked for together."""
    asked = {spec.get("dev_type") for one in data["requests"] for spec in one["spec"]}
    return "type-PF" in asked and len(asked) > 1


def needs_foresight(data: Data) -> bool:
    """More than one request, or one with alternatives: the order of serving matters to Nova."""
    return len(data["requests"]) > 1 or len(data["requests"][0]["spec"]) > 1


def asks_for_nothing(data: Data) -> bool:
    return any(one["count"] == 0 for one in data["requests"])


def looks_at_places_first(data: Data) -> bool:
    """Nova finds enough local devices, and only then that they are of a type it does not give."""
    return data.get("instance_numa_cells") is not None and any(
        "dev_type" not in spec or "live_migratable" in spec
        for one in data["requests"]
        for spec in one["spec"]
    )


def has_node_minus_one(data: Data) -> bool:
    return any(one.get("numa_node") == -1 for one in data["devices"])


def may_take_local_ones(data: Data) -> bool:
    return data.get("instance_numa_cells") is not None


def pinned_to_providers(data: Data) -> bool:
    """Nova gives up where sibling VFs are in two pools, for they share a provider."""
    return any(one.get("rp_uuids") for one in data["requests"])


def best(data: Data, answer: Answer) -> Any:
    """What follows from the best choice, of each part that is asked about."""
    chosen = _best(data)
    if answer.about == "filter":
        return chosen is not None
    if answer.about == "claim":
        return "error" if chosen is None else "ok"
    return (_must_hold if answer.about == "must_hold" else _statuses)(data, chosen or [])


def _must_hold(_data: Data, chosen: Sequence[tuple[int, HostDevice]]) -> Any:
    return {
        "count": len(chosen),
        "per_request": dict(sorted(Counter(str(index) for index, _ in chosen).items())),
        "numa_nodes": sorted(
            (device.numa_node for _, device in chosen), key=lambda node: (node is None, node or 0)
        ),
    }


def _statuses(data: Data, chosen: Sequence[tuple[int, HostDevice]]) -> Any:
    held = {device.id for _, device in chosen}
    devices = host_devices(data)
    pfs = {device.pf_id for device in devices if device.id in held}
    kinds = kinds_of(data)
    return dict(
        Counter(
            f"{kinds[one.id]} held vm1"
            if one.id in held
            else f"{kinds[one.id]} blocked"
            if one.id in pfs or one.pf_id in held
            else f"{kinds[one.id]} free"
            for one in devices
        )
    )


def _best(data: Data) -> list[tuple[int, HostDevice]] | None:
    """The choice for all units together that is nearest to the guest; None when there is none."""
    devices = host_devices(data)
    units = [
        (index, unit)
        for index, request in enumerate(data["requests"])
        for unit in range(request["count"] if request["count"] <= len(devices) else 1)
    ]
    if sum(request["count"] for request in data["requests"]) > len(devices):
        return None
    choices = list(_choices(data, units, devices, []))
    return min(choices, key=lambda one: sum(_distance(data, got) for _, got in one), default=None)


def _choices(
    data: Data,
    units: Sequence[tuple[int, int]],
    devices: Sequence[HostDevice],
    chosen: list[tuple[int, HostDevice]],
) -> Iterator[list[tuple[int, HostDevice]]]:
    if not units:
        yield chosen
        return
    (index, unit), *rest = units
    for device in devices:
        if all(
            device.id not in {got.id, got.pf_id} and got.id != device.pf_id for _, got in chosen
        ) and _does(data, data["requests"][index], unit, device):
            yield from _choices(data, rest, devices, [*chosen, (index, device)])


def _does(data: Data, request: Mapping[str, Any], unit: int, device: HostDevice) -> bool:
    is_port = request.get("source") == "port"
    wanted = () if is_port else request.get("rp_uuids", ())
    if wanted and device.provider_id != wanted[unit]:
        return False
    allowed = {"required": {0}, "socket": {0, 2}, "preferred": {0, 1, 2, 3}}
    if _distance(data, device) not in allowed.get(request.get("numa_policy") or "", {0, 1}):
        return False
    return any(_is(spec, is_port, device) for spec in request["spec"])


def _is(spec: Mapping[str, Any], is_port: bool, device: HostDevice) -> bool:
    offered = device.offered
    tags = offered.tags
    network = tags.get("physical_network")
    ids = {"vendor_id": offered.vendor_id, "product_id": offered.product_id}
    if any(key in spec and int(spec[key], 16) != number for key, number in ids.items()):
        return False
    dev_type = spec.get("dev_type")
    if (
        offered.dev_type in {"type-PF", "vdpa"}
        if dev_type is None
        else offered.dev_type != dev_type
    ):
        return False
    if is_port and "physical_network" in spec:
        if network is None or network.lower() != (spec["physical_network"] or "").lower():
            return False
        if dev_type is None and offered.dev_type == "type-PCI":
            return False
    elif network and not tags.get("resource_class"):
        return False
    return _flags_agree(spec, tags)


def _flags_agree(spec: Mapping[str, Any], tags: Mapping[str, str]) -> bool:
    for flag, default in (("trusted", None), ("live_migratable", None), ("remote_managed", "no")):
        asked = spec.get(flag, default)
        has = tags.get(flag, "unmarked" if flag == "live_migratable" else "false")
        if asked is not None and has != ("true" if _yes(asked) else "false"):
            return False
    return True


def _yes(value: object) -> bool:
    return str(value).strip().lower() in _TRUE


def _distance(data: Data, device: HostDevice) -> int:
    """0 local, 1 unknown, 2 on a socket of the guest's, 3 elsewhere."""
    nodes, node = data.get("instance_numa_cells"), device.numa_node
    if nodes is None or node in nodes:
        return 0
    if node is None or node < 0:
        return 1
    sockets = {one["id"]: one["socket"] for one in data.get("host_numa") or ()}
    known = None not in sockets.values()
    return 2 if known and sockets.get(node) in {sockets.get(own, "-") for own in nodes} else 3


def lost_from_pools(data: Data) -> bool:
    """Devices are free, and Nova's pools have lost them."""
    return any(
        len(step["expect"]["free_in_pools"])
        < sum(one["status"] == "available" for one in step["expect"]["devices"].values())
        for step in data["steps"]
    )


def all_in_pools(_data: Data, answer: Answer) -> Any:
    return {**answer.expected, "in_pools": answer.expected["free"]}


def claimed_all_the_same(data: Data, answer: Answer) -> Any:
    """What a claim of VFs makes that Nova refuses, though there are free ones of that kind."""
    told, step = answer.expected, data["steps"][answer.expected["step"]]
    assert step["op"] == "claim"
    devices = {one["address"]: one for one in data["devices"]}
    held, free = dict(told["held"]), list(told["free"])
    for request in step["requests"]:
        fitting = [
            address
            for address in free
            if any(
                all(devices[address].get(key) == spec[key] for key in spec)
                for spec in request["spec"]
            )
        ]
        for address in fitting[: request["count"]]:
            held[address] = step["server"]
            free.remove(address)
    parents = {devices[address]["parent_addr"] for address in held}
    return {
        **told,
        "result": "ok",
        "held": dict(sorted(held.items())),
        "blocked": sorted({*told["blocked"], *(parents & set(free))}),
        "free": [one for one in free if one not in parents],
    }


def has_network_devices(data: Data) -> bool:
    return any(
        entry.get("physical_network")
        for step in data["steps"]
        for entry in step.get("device_spec", ())
    )


def reports_not(data: Data) -> bool:
    return any(step.get("report_in_placement") is False for step in data["steps"])


def refused_by_nova_alone(data: Data) -> bool:
    """One-time-use of VFs, and a word about live migration for an old hypervisor."""
    keys = {"one_time_use", "live_migratable"}
    return all(step["op"] != "boot" for step in data["steps"]) and any(
        keys & entry.keys() for step in data["steps"] for entry in step.get("device_spec", ())
    )


def all_listed(data: Data, answer: Answer) -> Any:
    """A host that shows all that it lists, nobody holding any, networks' devices too."""
    number = answer.expected["step"]
    case: dict[str, Any] = {}
    for step in data["steps"][: number + 1]:
        case |= step if step["op"] in {"start_host", "restart_host"} else {}
    listed = listed_devices({key: case[key] for key in ("devices", "device_spec")})
    providers: dict[str, Any] = {}
    for one in listed:
        address = str(one.device.parent or one.device.address).upper()
        found = providers.setdefault(
            f"{case['host']}_{address}", {"inventories": {}, "traits": set()}
        )
        name = resource_class_of(
            one.device.vendor_id, one.device.product_id, one.device.dev_type, one.tags
        )
        total = found["inventories"].get(name, [0])[0] + 1
        found["inventories"][name] = [total, 0, 0]
        found["traits"] |= traits_of(one.tags)
    return {
        "step": number,
        "outcome": "ok",
        "devices": {case["host"]: {str(one.device.address): None for one in listed}}
        if listed
        else {},
        "providers": {
            name: {**one, "traits": sorted(one["traits"])} for name, one in providers.items()
        },
    }


def needs_the_scheduler_in_placement(data: Data) -> bool:
    """A device for one guest, where the scheduler does not look into Placement."""
    looks = any(step.get("pci_in_placement") for step in data["steps"])
    entries = [entry for step in data["steps"] for entry in step.get("device_spec", ())]
    once = any(entry.get("one_time_use") == "true" for entry in entries)
    return once and not looks and any(step["op"] == "boot" for step in data["steps"])


def given_for_the_only_time(data: Data, answer: Answer) -> Any:
    """The server gets the one device there is, which is spent from then on."""
    told = answer.expected
    server = data["steps"][told["step"]]["server"]
    (host, devices), *_ = told["devices"].items()
    return {
        **{key: value for key, value in told.items() if key != "fault"},
        "state": "ACTIVE",
        "host": host,
        "devices": {host: dict.fromkeys(devices, server)},
        "providers": {
            name: {
                **one,
                "inventories": {key: [1, 1, 1] for key in one["inventories"]},
            }
            for name, one in told["providers"].items()
        },
    }


_MOVES = frozenset({"resize", "cold_migrate", "live_migrate", "shelve", "allow_same_host_resize"})


def moves_servers(data: Data) -> bool:
    return any(step["op"] in _MOVES for step in data["steps"])


def has_guest_topology(data: Data) -> bool:
    return any("hw:cpu_policy" in step.get("flavor_extra_specs", ()) for step in data["steps"])
