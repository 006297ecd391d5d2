"""What becomes of ``max_vfs``, by which a driver makes VFs, when a policy holds their numbers."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.boot_loader import argument_key
from lanekeeper.domain.hostplan.findings.sriov import max_vfs_each, max_vfs_options
from lanekeeper.domain.hostplan.survey import Survey
from lanekeeper.domain.pci.device import PciDevice


def max_vfs_notes(survey: Survey) -> Iterator[Note]:
    """Say of each option which entries have its numbers now, and which PFs have no entry."""
    for module, counts, source in (*max_vfs_options(survey), *_waiting(survey)):
        if not counts.strip("0,"):
            continue
        pfs = [pf for pf in survey.host.pfs if (pf.driver or "").replace("-", "_") == module]
        with_vfs = [pf for pf in pfs if pf.num_vfs]
        if with_vfs:
            vfs = ", ".join(f"{pf.num_vfs} VFs of {pf.address}" for pf in with_vfs)
            does = f"the policy has the {vfs} instead; `host apply` puts it in the option's place"
        else:
            does = f"it stays as it is: no PF of {module} has VFs now"
        bare = [*_entries(pfs, counts)]
        more = f"; for those that it would make at the next boot add {', '.join(bare)} to pfs"
        yield Note(source, f"{does}{more if bare else ''}")


def _waiting(survey: Survey) -> Iterator[tuple[str, str, str]]:
    """Yield what the running kernel was started without, the last word on each module."""
    configured = survey.host.configured_cmdline or ()
    last = {argument_key(a): a for a in configured if argument_key(a).endswith(".max_vfs")}
    for key, argument in last.items():
        if argument not in survey.host.cmdline:
            module = key.partition(".")[0].replace("-", "_")
            counts = argument.partition("=")[2]
            yield module, counts, f"kernel argument {argument} of the next boot"


def _entries(pfs: list[PciDevice], counts: str) -> Iterator[str]:
    """Yield an entry for each PF without VFs."""
    for pf, asked in zip(pfs, max_vfs_each(counts, len(pfs)), strict=True):
        if asked and not pf.num_vfs:
            yield f'{{pf: "{pf.address}", vfs: {min(asked, pf.total_vfs)}}}'
