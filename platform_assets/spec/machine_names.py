"""Which machine a name in a reference means; labels, taints and BeeGFS name machines.

Names are compared as written first, then without leading zeros of their numbers, for people and
generators write `gpu-worker-1` and `gpu-worker-01` for the same machine.
"""

import re

from platform_assets.spec.model.estate import ClusterName, Estate, Placed

_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")


def without_leading_zeros(name: str) -> str:
    """Return the name with the leading zeros of its numbers taken away.

    >>> without_leading_zeros("gpu-worker-01")
    'gpu-worker-1'
    """
    return _ZEROS.sub("", name)


def machine_named(estate: Estate, cluster: ClusterName, text: str) -> Placed | None:
    """Return the machine of a cluster that `text` names, or None.

    The exact name wins; where only zeros differ, the first machine that fits is meant.
    """
    meant = without_leading_zeros(text)
    likely = None
    for placed in estate.machines():
        if placed.cluster != cluster:
            continue
        if placed.machine.name == text:
            return placed
        if likely is None and without_leading_zeros(placed.machine.name) == meant:
            likely = placed
    return likely
