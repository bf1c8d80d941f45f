"""What a rule may know beside the estate, and what a rule is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from platform_assets.spec.findings import Finding
from platform_assets.spec.model.estate import Estate


@dataclass(frozen=True)
class Grounds:
    """Facts and tables; what is None was not asked, and rules that need it say so."""

    today: date


Rule = Callable[[Estate, Grounds], Iterable[Finding]]
