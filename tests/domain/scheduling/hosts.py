"""Hosts, devices and needs for the scheduler's tests."""

from __future__ import annotations

from collections.abc import Mapping

from lanekeeper.domain.network.promise import NOTHING, Promise
from lanekeeper.domain.pci.device import DeviceType
from lanekeeper.domain.pci.request import Alternative, DeviceRequest, Offered
from lanekeeper.domain.scheduling.bandwidth import CardBandwidth
from lanekeeper.domain.scheduling.host import (
    DeviceNeed,
    HostDevice,
    HostView,
    ServerRequest,
    Standing,
    Stock,
)

VF_OF, PF_OF = 0x10CA, 0x10C9
STOCKS = {"VCPU": Stock(8), "MEMORY_MB": Stock(4096), "DISK_GB": Stock(100)}


def vf(
    name: str,
    pf: str = "pf",
    *,
    standing: Standing = Standing.FREE,
    product_id: int = VF_OF,
    parts_held: int = 0,
    whole_offered: bool = False,
    tags: Mapping[str, str] | None = None,
    bandwidth: CardBandwidth | None = None,
    pf_driver: str | None = None,
) -> HostDevice:
    return HostDevice(
        id=name,
        address=name,
        offered=Offered.from_text(
            "8086", f"{product_id:04x}", DeviceType.VF, tags or {}, pf_driver=pf_driver
        ),
        standing=standing,
        pf_id=pf,
        parts_held=parts_held,
        whole_offered=whole_offered,
        bandwidth=bandwidth,
    )


def pf(name: str, *, standing: Standing = Standing.FREE) -> HostDevice:
    return HostDevice(
        id=name,
        address=name,
        offered=Offered.from_text("8086", f"{PF_OF:04x}", DeviceType.PF, {}),
        standing=standing,
    )


def need(
    name: str,
    count: int = 1,
    *,
    product_ids: tuple[int, ...] = (VF_OF,),
    whole: bool = False,
    physical_network: str | None = None,
    promise: Promise = NOTHING,
) -> DeviceNeed:
    """Devices of any of *product_ids*, the first preferred, or whole PFs."""
    kind = DeviceType.PF if whole else None
    ids: tuple[int | None, ...] = product_ids if physical_network is None else (None,)
    return DeviceNeed(
        id=name,
        name=name,
        request=DeviceRequest(
            alias_name=name if physical_network is None else None,
            count=count,
            alternatives=tuple(
                Alternative(
                    vendor_id=0x8086,
                    product_id=PF_OF if whole else product_id,
                    dev_type=kind,
                    physical_network=physical_network,
                )
                for product_id in ids
            ),
        ),
        physical_networks=() if physical_network is None else (physical_network,),
        promise=promise,
    )


def host(name: str = "h1", *devices: HostDevice, **more: object) -> HostView:
    values = {"id": name, "name": name, "stocks": STOCKS, "devices": devices, **more}
    return HostView(**values)  # type: ignore[arg-type]  # test's shorthand


def server(*needs: DeviceNeed, **more: object) -> ServerRequest:
    values = {"vcpus": 1, "ram_mib": 512, "disk_gib": 1, "needs": needs, **more}
    return ServerRequest(**values)  # type: ignore[arg-type]  # test's shorthand
