"""Lanekeeper: PCI devices and SR-IOV for KVM guests, from bare silicon to a running server."""

__version__ = "0.1.0"
