"""What can be configured: every section, key, default and bound, and its line in the reference.

A field's ``Option`` names the section and key of OpenStack's files that it is read from. Numbers
carry their unit in the name, except where OpenStack's key has it otherwise.
"""

from __future__ import annotations

from lanekeeper.config.compute import Compute, Cpus
from lanekeeper.config.health import Health
from lanekeeper.config.image_cache import ImageCacheManager
from lanekeeper.config.network import Ml2, NetworkQuotas, Ovs, SecurityGroup, SriovNic
from lanekeeper.config.option import Section
from lanekeeper.config.own import Own
from lanekeeper.config.pci import Pci
from lanekeeper.config.quota import Quota
from lanekeeper.config.rules import Rules
from lanekeeper.config.scheduler import Scheduler
from lanekeeper.config.service import Cors, Keystone, Placement

__all__ = [
    "Compute",
    "Config",
    "Cors",
    "Cpus",
    "Health",
    "ImageCacheManager",
    "Keystone",
    "Ml2",
    "NetworkQuotas",
    "Own",
    "Pci",
    "Placement",
    "Quota",
    "Rules",
    "Scheduler",
    "SecurityGroup",
    "SriovNic",
]


class Config(Section, frozen=True):
    """The whole of it. ``Config()`` lists no device; ``load(())`` reads the shipped sample."""

    pci: Pci = Pci()
    ml2: Ml2 = Ml2()
    sriov_nic: SriovNic = SriovNic()
    ovs: Ovs = Ovs()
    security_group: SecurityGroup = SecurityGroup()
    compute: Compute = Compute()
    cpus: Cpus = Cpus()
    scheduler: Scheduler = Scheduler()
    rules: Rules = Rules()
    image_cache: ImageCacheManager = ImageCacheManager()
    lanekeeper: Own = Own()
    placement: Placement = Placement()
    quota: Quota = Quota()
    network_quotas: NetworkQuotas = NetworkQuotas()
    health: Health = Health()
    keystone: Keystone = Keystone()
    cors: Cors = Cors()
