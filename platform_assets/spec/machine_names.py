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


class Machines:
    """The machines of one cluster by name; made once where many names are looked up."""

    def __init__(self, estate: Estate, cluster: ClusterName) -> None:
        self._exactly: dict[str, Placed] = {}
        self._likely: dict[str, Placed] = {}
        for placed in estate.machines():
            if placed.cluster == cluster:
                name = placed.machine.name
                self._exactly.setdefault(name, placed)
                self._likely.setdefault(without_leading_zeros(name), placed)

    def named(self, text: str) -> Placed | None:
        """Return the machine that `text` names, or None.

        The exact name wins; where only zeros differ, the first machine that fits is meant.
        """
        return self._exactly.get(text) or self._likely.get(without_leading_zeros(text))


def machine_named(estate: Estate, cluster: ClusterName, text: str) -> Placed | None:
    """Return the machine of a cluster that `text` names, or None; see `Machines.named`."""
    return Machines(estate, cluster).named(text)
