"""Rules that entries of ``deliberate.toml`` name: which cases they are about, and our answers.

A rule is asked about a case's input, never about its id or the answer that is expected. It is
written apart from the code that it judges.
"""

from __future__ import annotations

import json
import re
from typing import Any

import os_resource_classes
import os_traits
from lxml import etree

from vectors.case import Answer, Data
from vectors.markup import plain

# --- device_spec -----------------------------------------------------------------------------

_KNOWN = {
    "vendor_id", "product_id", "devname", "address", "physical_network", "remote_managed",
    "trusted", "managed", "live_migratable", "one_time_use", "resource_class", "traits",
}  # fmt: skip
_FLAGS = {"remote_managed", "trusted", "managed", "live_migratable", "one_time_use"}
_TRUE = {"1", "t", "true", "on", "y", "yes"}
_FALSE = {"0", "f", "false", "off", "n", "no"}
_OTHER_WORDS = {"deviceid", "vendor", "product", "physnet", "netdev", "devicename", "pciaddress"}
_OTHER_WORDS |= {"pciaddr", "bdf"}


def misspelt_key(data: Data) -> bool:
    """A key that is no known one, but nearly, or short or another word for one."""
    return any(
        re.sub("[-_ ]", "", key.lower()) in _OTHER_WORDS
        or any(_edits(key.lower(), known) <= 2 or _shortens(key, known) for known in _KNOWN)
        for key in data["spec"]
        if key not in _KNOWN and not key.startswith("x_")
    )


def _shortens(key: str, known: str) -> bool:
    words = re.split("[-_ ]+", key.lower())
    least = 3 if len(words) > 1 else 4
    by_word = "_".join(
        re.escape(one) if one in known.split("_") else re.escape(one) + "[a-z]*"
        for one in words
        if len(one) >= least or one in known.split("_")
    )
    whole = "".join(words)
    if len(whole) >= 4 and known.replace("_", "").startswith(whole):
        return True
    return by_word.count("_") == len(words) - 1 > 0 and bool(re.fullmatch(by_word, known))


def unknown_address_key(data: Data) -> bool:
    address = data["spec"].get("address")
    return isinstance(address, dict) and not (
        address.keys() <= {"domain", "bus", "slot", "function"}
    )


def vague_flag(data: Data) -> bool:
    """A flag that Nova keeps as it is written, with a value that is neither true nor false."""
    return any(
        value is not None and _word(value) not in _TRUE | _FALSE
        for key, value in data["spec"].items()
        if key in {"trusted", "remote_managed"}
    )


def refused_class(data: Data) -> bool:
    named = data["spec"].get("resource_class")
    return isinstance(named, str) and named != "" and _class(named) == "refused"


def odd_address(data: Data) -> bool:
    """What is nothing to Python counts as no address to Nova: an empty list, 0, false."""
    address = data["spec"].get("address")
    return address is not None and not isinstance(address, str | dict)


def looking_back(data: Data) -> bool:
    """A regular expression that only a backtracking matcher can answer, or an endless one."""
    address = data["spec"].get("address")
    texts = address.values() if isinstance(address, dict) else ()
    backwards = re.compile(r"\\[1-9]|\(\?(?:<|>|P=|\(|[aiLmsux-]+:)|[*+?}]\+")
    return any(
        isinstance(text, str) and (backwards.search(text) or len(text) > 256) for text in texts
    )


def tag_that_is_not_text(data: Data) -> bool:
    return any(
        value is not None and not isinstance(value, str)
        for key, value in data["spec"].items()
        if key in {"physical_network", "resource_class", "traits"}
    )


def foreign_number(data: Data) -> bool:
    """Python reads signs and underscores in a number; a PCI id or address has neither."""
    spec = data["spec"]
    address = spec.get("address")
    fields = re.split("[:.]", address) if isinstance(address, str) else []
    ids = [spec[key] for key in ("vendor_id", "product_id") if isinstance(spec.get(key), str)]
    return any(re.search(r"[-+_]", text) or not text.isascii() for text in [*fields, *ids])


def refused_entry(data: Data) -> bool:
    return any(
        rule(data)
        for rule in (
            misspelt_key,
            unknown_address_key,
            vague_flag,
            tag_that_is_not_text,
            foreign_number,
            refused_class,
            odd_address,
            looking_back,
        )
    )


def blank_beside_star(data: Data) -> bool:
    """Nova takes blanks beside the star of a vendor_id, but not of a product_id."""
    product = data["spec"].get("product_id")
    return isinstance(product, str) and product.strip() == "*" != product


def one_time_use_unreported(data: Data) -> bool:
    reported = data.get("config", {}).get("report_in_placement", True)
    return not reported and _word(data["spec"].get("one_time_use")) in _TRUE


def by_ids(data: Data, _answer: Answer | None = None) -> str:
    """What an entry does that names ids only."""
    spec, device = data["spec"], data["device"]
    assert not spec.get("address")
    assert not spec.get("devname")
    for key in ("vendor_id", "product_id"):
        wanted = spec.get(key, "*").strip()
        if wanted != "*" and int(wanted, 16) != int(device[key], 16):
            return "no_match"
    return "match"


def typed_tags(data: Data, _answer: Answer | None = None) -> Any:
    """The normal form with every flag typed and every other value as text."""
    tags = {}
    for key, value in data["normalized"]["tags"].items():
        if key in _FLAGS:
            if value is not None:
                tags[key] = "true" if _word(value) in _TRUE else "false"
        elif value is None:
            if key == "physical_network":
                tags[key] = ""
        else:
            tags[key] = value if isinstance(value, str) else json.dumps(value)
    return {**data["normalized"], "tags": tags}


def _word(value: object) -> str:
    return str(value).strip().lower()


def _edits(one: str, other: str) -> int:
    """How many letters have to be changed, added or left out (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


# --- alias -----------------------------------------------------------------------------------


def count_in_python(data: Data) -> bool:
    """A count that Python reads and the API refuses: a sign, an underscore, a blank before it."""
    text = data["flavor_value"] or ""
    return not data.get("api_accepts_flavor_value", True) or not text.isascii()


def huge_count(data: Data) -> bool:
    counts = re.findall(r":\s*(\d+)", data["flavor_value"] or "")
    return any(int(count) > 65536 for count in counts)


def odd_name(data: Data) -> bool:
    """A name of blanks only, or one that the extra spec has no way to write."""
    names = [str(one["name"]).strip() for one in _aliases(data) if one.get("name")]
    return any(not name or {",", ":"} & {*name} for name in names)


def odd_id(data: Data) -> bool:
    """Four digits to a regular expression of Python's, but not to anybody else."""
    ids = [one.get(key) for one in _aliases(data) for key in ("vendor_id", "product_id")]
    return any(isinstance(text, str) and (not text.isascii() or "\n" in text) for text in ids)


def by_class_alone(data: Data) -> bool:
    return not data["pci_in_placement"] and any(
        "resource_class" in one and not {"vendor_id", "product_id"} <= one.keys()
        for one in _aliases(data)
    )


def by_type_alone(data: Data) -> bool:
    return any(_is_by_type(one) for one in _aliases(data))


def _is_by_type(alias: dict[str, Any]) -> bool:
    choosing = {"vendor_id", "product_id", "resource_class"} & alias.keys()
    return "device_type" in alias and not choosing


def empty_class(data: Data) -> bool:
    """With Placement a class that is there but empty counts as one, in place of ids."""
    return any(
        one.get("resource_class") == "" and not {"vendor_id", "product_id"} <= one.keys()
        for one in _aliases(data)
    )


def refused_class_of_alias(data: Data) -> bool:
    return any(
        isinstance(one.get("resource_class"), str)
        and one["resource_class"] != ""
        and _class(one["resource_class"]) == "refused"
        for one in _aliases(data)
    )


def repeated_name(data: Data) -> bool:
    names = [str(one.get("name", "")).strip() for one in _aliases(data)]
    return len(set(names)) < len(names)


def alias_answer(data: Data, _answer: Answer | None = None) -> Any:
    """Our answer, whatever the reason: an ordered OR of one name's aliases, one strict grammar."""
    if any(rule(data) for rule in (odd_name, odd_id, refused_class_of_alias, empty_class)):
        return "refused: config"
    if data["flavor_value"] is None:
        return []
    requests = []
    for unit in re.split(r"\s*,\s*", data["flavor_value"].lstrip()):
        found = re.fullmatch(r"([^:,]+):([0-9]+)", unit)
        name = found[1].strip() if found else None
        aliases = [one for one in _aliases(data) if one["name"].strip() == name]
        if not found or not aliases or int(found[2]) > 65536:
            return "refused: request"
        policy = data["flavor_or_image_numa_policy"] or aliases[0].get("numa_policy", "legacy")
        requests.append(
            {
                "alias_name": name,
                "count": int(found[2]),
                "numa_policy": policy,
                "spec": [_alternative(one) for one in aliases],
            }
        )
    return requests


def has_capability_type(data: Data) -> bool:
    return any("capability_type" in one for one in _aliases(data))


def _alternative(alias: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for key in ("vendor_id", "product_id"):
        if key in alias:
            told[key] = alias[key].lower()
    if "device_type" in alias:
        told["dev_type"] = alias["device_type"]
    if "live_migratable" in alias:
        told["live_migratable"] = str(_word(alias["live_migratable"]) in _TRUE).lower()
    named = alias.get("resource_class")
    told["resource_class"] = (
        ""
        if _is_by_type(alias)
        else (
            _class(named)
            if named
            else f"CUSTOM_PCI_{alias['vendor_id']}_{alias['product_id']}".upper()
        )
    )
    if traits := clean_traits({"given": alias.get("traits")}):
        told["traits"] = traits
    return told


def _aliases(data: Data) -> list[dict[str, Any]]:
    return [one for one in data["aliases"] if isinstance(one, dict)]


# --- normalization ---------------------------------------------------------------------------


def is_class(data: Data) -> bool:
    return bool(data["kind"] == "resource_class")


def clean_class(data: Data, _answer: Answer | None = None) -> str:
    return _class(data["given"]["resource_class"])


def is_traits(data: Data) -> bool:
    return bool(data["kind"] == "traits")


def clean_traits(data: Data, _answer: Answer | None = None) -> Any:
    traits = set()
    for item in (data["given"] or "").split(","):
        if name := item.strip().upper():
            standard = name in os_traits.get_traits()
            traits.add(name if standard else _custom(name))
    return "refused" if "refused" in traits else sorted(traits)


def _class(text: str) -> str:
    name = text.upper()
    if name in {"VCPU", "PCPU", "MEMORY_MB", "DISK_GB"}:
        return "refused"
    return name if name in os_resource_classes.STANDARDS else _custom(name)


def _custom(name: str) -> str:
    if name.startswith("CUSTOM_"):
        cleaned = "CUSTOM_" + re.sub("[^A-Z0-9_]+", "_", name[len("CUSTOM_") :])
    else:
        cleaned = "CUSTOM_" + re.sub("[^A-Z0-9]+", "_", name)
    return "refused" if cleaned == "CUSTOM_" or len(cleaned) > 255 else cleaned


# --- extra specs -----------------------------------------------------------------------------


def viommu_asked(data: Data) -> bool:
    return data["name"].removeprefix("image:") in {"hw:viommu_model", "hw_viommu_model"}


def comma_in_name(data: Data) -> bool:
    """A comma before the first count, which Nova's check takes for a part of the name."""
    first = str(data["value"]).partition(":")[0]
    return data["name"] == "pci_passthrough:alias" and "," in first


def cpus_that_are_none(data: Data) -> bool:
    """What Nova's pattern takes of CPU sets and its parser does not; or a CPU of six digits."""
    if not re.fullmatch(r"hw:(cpu_dedicated_mask|numa_cpus\.\d+)", data["name"]):
        return False
    parts = [part.strip() for part in data["value"].split(",")]
    ranges = [re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?|\^\d{1,5}", part) for part in parts]
    return any(
        found is None or (found[2] is not None and int(found[2]) < int(found[1]))
        for found in ranges
    )


def pages_of_less_than_a_kib(data: Data) -> bool:
    """A size in bits or bytes that comes to no KiB, or 0."""
    found = re.fullmatch(r"(\d+)(bit|b|B)?", data["value"])
    if data["name"] != "hw:mem_page_size" or found is None:
        return False
    kib = {None: 1, "B": 1024}.get(found[2], 8 * 1024)
    return int(found[1]) < kib or int(found[1]) % kib != 0


def number_that_is_honoured(data: Data) -> bool:
    """A number in Python's syntax that is not up to nine digits, of a key that has an effect."""
    honoured = r"hw:numa_nodes|hw:numa_mem\.\d+|quota:vif_outbound_average"
    plain = re.fullmatch(r"[0-9]{1,9}", data["value"], re.ASCII)
    return re.fullmatch(honoured, data["name"]) is not None and plain is None


def no_point_before_a_cell(data: Data) -> bool:
    return re.fullmatch(r"hw:numa_(cpus|mem)[^.]\d+", data["name"]) is not None


def key_of_our_own(data: Data) -> bool:
    return data["name"] in {"hw:vif_vnic_type", "lanekeeper:pcie_root"}


def answer_to_our_own(data: Data, _answer: Answer) -> str:
    """A vnic type is checked in any version, not here; a policy of root ports is checked here."""
    if data["name"] == "hw:vif_vnic_type":
        return "valid"
    return "valid" if data["value"] in {"any", "preferred", "required"} else "invalid"


# --- binding ---------------------------------------------------------------------------------


def card_with_agent(data: Data) -> bool:
    """A whole card on a host with a living agent that reaches one of the networks."""
    given = data["input"]
    reached: set[str] = set()
    for agent in given["host_agents"]:
        if agent["agent_type"] == "NIC Switch agent" and agent["alive"]:
            reached |= agent["configurations"]["device_mappings"].keys()
    return given["vnic_type"] == "direct-physical" and any(
        one["physical_network"] in reached for one in given["segments"]
    )


def card_without_agent(data: Data) -> bool:
    return bool(data["input"]["vnic_type"] == "direct-physical") and not card_with_agent(data)


def down_until_held(data: Data, _answer: Answer | None = None) -> Any:
    return {**data["expect"], "port_status": "DOWN"}


# --- guest XML -------------------------------------------------------------------------------


def other_hypervisor(data: Data) -> bool:
    return data["virt_type"] not in {"kvm", "qemu"}


def guest_iommu(data: Data) -> bool:
    return bool(data["kind"] == "viommu")


def no_vf_of_a_bridge(data: Data) -> bool:
    """A card that is neither a VF of a card's own switch nor a tap: a representor's, vDPA."""
    vif = data.get("vif", {})
    kinds = {("hw_veb", "direct"), ("ib_hostdev", "direct"), ("ovs", "normal")}
    kinds |= {("hw_veb", "macvtap")}
    return bool(vif) and (vif["type"], vif["vnic_type"]) not in kinds


def tap_of_a_switch(data: Data) -> bool:
    vif = data.get("vif", {})
    return bool(vif) and (vif["type"], vif["vnic_type"]) == ("ovs", "normal")


def xml_of_an_access_port(data: Data, _answer: Answer | None = None) -> Any:
    """Libvirt names the tap, and the port has its network's VLAN; Nova leaves that to an agent."""
    element = etree.fromstring(data["expect"]["xml"])
    for target in element.findall("target"):
        element.remove(target)
    vlan = etree.SubElement(element, "vlan")
    etree.SubElement(vlan, "tag", id="0")
    return plain(element)


def xml_without_vlan(data: Data, _answer: Answer | None = None) -> Any:
    element = etree.fromstring(data["expect"]["xml"])
    for vlan in element.findall("vlan"):
        element.remove(vlan)
    return plain(element)


def xml_of_domain_0(data: Data, _answer: Answer | None = None) -> Any:
    bus, slot, function = data["address"].replace(".", ":").split(":")
    text = (
        "<hostdev managed='yes' mode='subsystem' type='pci'><source><address domain='0x0000' "
        f"bus='0x{bus}' slot='0x{slot}' function='0x{function}'/></source></hostdev>"
    )
    return plain(etree.fromstring(text))


# --- ports -----------------------------------------------------------------------------------


def vague_trust(data: Data) -> bool:
    value = ((data["port"] or {}).get("binding:profile") or {}).get("trusted")
    return value is not None and _word(value) not in _TRUE | _FALSE


# --- discovery and migration -----------------------------------------------------------------


def node_minus_one(data: Data) -> bool:
    return "numa node='-1'" in data["node_devices"][data["device"]]


def no_node(_data: Data, answer: Answer) -> Any:
    return {**answer.expected, "numa_node": None}


def carries_vdpa(data: Data) -> bool:
    return data["device"] in data["vdpa_parents"]


def without_ports(data: Data) -> bool:
    """The network is asked about nothing where a server has flavors' devices only."""
    return not any(one.get("source") == "port" for one in data["requests"] or ())


def all_can_move(data: Data, _answer: Answer) -> str:
    specs = [spec for one in data["requests"] or () for spec in one["spec"]]
    able = all(_word(spec.get("live_migratable")) in _TRUE for spec in specs)
    return "allowed" if able else "refused"


def moves_devices(data: Data) -> bool:
    return bool(data["kind"] == "flavor_devices")


def moves_interfaces(data: Data) -> bool:
    return not moves_devices(data)


def moved_in_one_pass(data: Data, _answer: Answer) -> Any:
    """Every device of the original looked up once, by number."""
    domain = etree.fromstring(data["xml"])
    moved = data["source_to_destination"]
    for source in domain.findall("devices/hostdev[@type='pci']/source/address"):
        parts = [int(source.get(key, "0"), 16) for key in ("domain", "bus", "slot", "function")]
        there = moved.get("{:04x}:{:02x}:{:02x}.{:x}".format(*parts))
        if there:
            bus = re.split("[:.]", there)
            for key, value in zip(("domain", "bus", "slot", "function"), bus, strict=True):
                source.set(key, f"0x{value}")
    return plain(domain)


# --- rates of VFs ----------------------------------------------------------------------------


def _ingress(data: Data, kind: str) -> bool:
    rules = data["input"]["rules"]
    return any(rule["type"] == kind and rule.get("direction") == "ingress" for rule in rules)


def limit_of_ingress(data: Data) -> bool:
    return _ingress(data, "bandwidth_limit")


def guarantee_of_ingress(data: Data) -> bool:
    return _ingress(data, "minimum_bandwidth")


def rate_without_a_rule(data: Data) -> bool:
    """A rate that is there before an update and that none of the new rules speaks of."""
    given = data["input"]
    kinds = {rule["type"] for rule in given["rules"]}
    now = given["vf_current_mbps"]
    left = {"bandwidth_limit": now["max_tx_rate"], "minimum_bandwidth": now["min_tx_rate"]}
    return given["action"] == "update" and any(
        rate for kind, rate in left.items() if kind not in kinds
    )


def only_what_rules_say(data: Data, answer: Answer) -> dict[str, int]:
    kinds = {rule["type"] for rule in data["input"]["rules"]}
    said = {"max_tx_rate": "bandwidth_limit", "min_tx_rate": "minimum_bandwidth"}
    return {name: rate if said[name] in kinds else 0 for name, rate in answer.expected.items()}


# --- Neutron's agent ------------------------------------------------------------------------------


def without_tunnels(data: Data, answer: Answer) -> list[str]:
    return [name for name in answer.expected if name != "CUSTOM_NETWORK_TUNNEL_PROVIDER"]


def vfs_still_coming(data: Data) -> bool:
    """The kernel is to have more VFs than it shows yet."""
    given = data["input"]
    number = given.get("numvfs")
    return bool(number) and number.isdigit() and len(given["vfs"]) < int(number)


def vfs_that_are_there(data: Data, answer: Answer) -> dict[str, int]:
    given = data["input"]
    return {
        vf["pci"]: int(index)
        for index, vf in given["vfs"].items()
        if vf["pci"] not in given["exclude"]
    }


def vendor_asked_about(data: Data) -> bool:
    return "profile" in data["input"]
