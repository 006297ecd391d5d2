from typing import Any

import pytest

from lanekeeper.domain.errors import Invalid
from lanekeeper.domain.network.extra_dhcp import check_options

GOOD: list[dict[str, Any]] = [
    {"opt_name": "bootfile-name", "opt_value": "pxelinux.0"},
    {"opt_name": "150", "opt_value": "10.0.0.1", "ip_version": 4},
    {"opt_name": "dns-server", "opt_value": "[2001:db8::1]", "ip_version": "6"},
    {"opt_name": "router", "opt_value": ""},
    {"opt_name": "tftp-server", "opt_value": None},
]


def test_what_neutron_takes_is_taken() -> None:
    check_options(GOOD)


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ({"opt_value": "x"}, "opt_name is"),
        ({"opt_name": "", "opt_value": "x"}, "opt_name is"),
        ({"opt_name": "mtu,1", "opt_value": "x"}, "opt_name is"),
        ({"opt_name": "a" * 65, "opt_value": "x"}, "opt_name is"),
        ({"opt_name": "mtu\n", "opt_value": "x"}, "opt_name is"),
        ({"opt_name": "mtu", "opt_value": 9000}, "opt_value of mtu is neither a text nor null"),
        ({"opt_name": "mtu", "opt_value": "9" * 256}, "longer than 255"),
        ({"opt_name": "mtu", "opt_value": " "}, "is empty; null takes"),
        ({"opt_name": "mtu", "opt_value": "9\noption:router,1.1.1.1"}, "a line break"),
        ({"opt_name": "mtu", "opt_value": "9", "ip_version": 5}, "neither 4 nor 6"),
        ({"opt_name": "mtu", "opt_value": "9", "tag": "x"}, "'tag' is none of"),
    ],
)
def test_what_no_server_could_be_told_is_refused(option: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=r"^extra_dhcp_opts\[5\]: ") as refused:
        check_options([*GOOD, option])
    assert why in str(refused.value)
