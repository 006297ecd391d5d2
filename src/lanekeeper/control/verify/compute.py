"""Servers against what they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lanekeeper.control.verify.finding import BUG, Finding
from lanekeeper.store.records import Records


def claims_are_servers(records: Records) -> Iterator[Finding]:
    """Who holds a device is a server, on the device's host, and a consumer."""
    servers, consumers = records.by_id("server"), records.by_id("consumer")
    devices, hosts = records.by_id("device"), records.by_id("host")
    for claim in records.claim:
        holder, device = claim["consumer_id"], devices.get(claim["device_id"])
        server = servers.get(holder)
        if server is None:
            problem = f"its holder {holder} is no server"
        elif holder not in consumers:
            problem = f"its holder {holder} is no consumer"
        elif device and server["host_id"] != device["host_id"]:
            names = [hosts[i]["name"] for i in (device["host_id"], server["host_id"]) if i in hosts]
            problem = f"device and holder {holder} are not on one host: {', '.join(names)}"
        else:
            continue
        yield Finding(
            invariant="claim.holder", table="claim", row=claim["device_id"], problem=problem,
            remedy=BUG,
        )  # fmt: skip


def placed_servers_are_consumers(records: Records) -> Iterator[Finding]:
    """A server with a host is a consumer with an allocation there; one without holds nothing."""
    hosts, consumers = records.by_id("host"), records.by_id("consumer")
    places = {(row["consumer_id"], row["provider_id"]) for row in records.allocation}
    holders = {
        row["consumer_id"] for row in (*records.allocation, *records.claim)
    } | consumers.keys()
    for server in records.server:
        host_id = server["host_id"]
        if host_id is None:
            problem = "it has no host and holds something" if server["id"] in holders else ""
        elif host_id not in hosts:
            problem = f"its host {host_id} is not there"
        elif server["id"] not in consumers:
            problem = "it has a host and is no consumer"
        elif (server["id"], host_id) not in places:
            problem = f"nothing is allocated to it on its host {hosts[host_id]['name']}"
        else:
            problem = ""
        if problem:
            yield _server(server["id"], "server.holds", problem)


def servers_have_what_they_asked_for(records: Records) -> Iterator[Finding]:
    """A placed server has as many devices for each of its requests as it asked for, no others
    but what comes along with these.
    """
    claimed = Counter(
        (claim["consumer_id"], claim["request_id"])
        for claim in records.claim
        if claim["request_id"] != claim["device_id"]
    )
    for server in records.server:
        if server["host_id"] is None:
            continue
        wanted = Counter(
            {(server["id"], one["id"]): one["count"] for one in server["device_requests"]}
        )
        has = Counter({key: number for key, number in claimed.items() if key[0] == server["id"]})
        for _, request_id in sorted(key for key in wanted | has if wanted[key] != has[key]):
            key = (server["id"], request_id)
            yield _server(
                server["id"],
                "server.devices",
                f"request {request_id} is for {wanted[key]} devices, and {has[key]} are claimed",
            )


def _server(server_id: str, invariant: str, problem: str) -> Finding:
    return Finding(
        invariant=invariant, table="server", row=server_id, problem=problem,
        remedy="delete the server if nobody needs it; else " + BUG,
    )  # fmt: skip
