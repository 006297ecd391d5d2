"""The whole configuration as one frozen value, read once and passed down.

``tree`` says what there is, ``file`` reads files and keeps their line numbers, ``names`` knows
which keys are OpenStack's, ``load`` makes one out of the others.
"""

from lanekeeper.config.load import Loaded, load, sample_path
from lanekeeper.config.service import Cors, Keystone, Placement
from lanekeeper.config.tree import Compute, Config, Ml2, Own, Pci, SriovNic

__all__ = [
    "Compute",
    "Config",
    "Cors",
    "Keystone",
    "Loaded",
    "Ml2",
    "Own",
    "Pci",
    "Placement",
    "SriovNic",
    "load",
    "sample_path",
]
