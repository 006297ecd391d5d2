"""Why a server finds no host: each cause made, named, and mended as its remedy says.

One table for the test that goes through them and for the page that lists them, docs/explain.md.
"""

from causes import bandwidth, devices, hosts, requests
from causes.case import Cause

CAUSES: tuple[Cause, ...] = (*requests.CAUSES, *hosts.CAUSES, *devices.CAUSES, *bandwidth.CAUSES)

__all__ = ["CAUSES", "Cause"]
