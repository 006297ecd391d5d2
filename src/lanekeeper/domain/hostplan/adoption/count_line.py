"""Lines of the operator's files that give PFs VFs at boot: what becomes of each."""

from __future__ import annotations

from collections.abc import Iterator

from lanekeeper.domain.hostplan.adoption.note import Note
from lanekeeper.domain.hostplan.observed import HostFacts
from lanekeeper.domain.hostplan.vf_count import VfCount


def count_notes(host: HostFacts) -> Iterator[Note]:
    """Say of each line whose VFs it makes, and that the policy has them in its place."""
    for line in host.vf_counts:
        yield Note(str(line), _says(line, host))


def _says(line: VfCount, host: HostFacts) -> str:
    if not line.marks:
        does = "takes the VFs of a PF away" if line.count == 0 else "gives a PF VFs"
        return (
            f"{line.owner} {does} at boot, and which cannot be told: take it out if the "
            "policy has that PF, since both at boot fight"
        )
    meant = [pf for pf in host.pfs if line in host.vf_counts_of(pf)]
    with_vfs = ", ".join(f"{pf.num_vfs} VFs of {pf.address}" for pf in meant if pf.num_vfs)
    bare = ", ".join(
        f'{{pf: "{pf.address}", vfs: {min(line.count, pf.total_vfs)}}}'
        for pf in meant
        if line.count and not pf.num_vfs
    )
    if not meant:
        return f"{line.owner} is about no PF that is here: it stays as it is"
    has = f"the policy has the {with_vfs}: take the line out, since both at boot fight"
    more = f"its PF has no VFs now; for those of the next boot add {bare} to pfs and take it out"
    return "; ".join(each for each in (has if with_vfs else "", more if bare else "") if each) or (
        f"{line.owner} gives no VFs to a PF that has none: it stays as it is"
    )
