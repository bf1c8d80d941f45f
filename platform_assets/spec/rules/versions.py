"""Rules about versions: what the table of compatibility says of all that the estate names."""

from collections.abc import Iterator

from platform_assets.spec.compatibility_rules import check_compatibility
from platform_assets.spec.findings import Finding, not_checked
from platform_assets.spec.model.estate import Estate
from platform_assets.spec.pins import pins_of
from platform_assets.spec.rules.grounds import Grounds, Rule


def compatibility(estate: Estate, grounds: Grounds) -> Iterator[Finding]:
    """Versions contradict each other, are past their end, or badly written: compatibility.md."""
    pins = pins_of(estate)
    if pins and grounds.compatibility is None:
        path = next(iter(pins.values())).path
        missing = "the table of versions that go together was not read"
        yield not_checked("compatibility", path, missing, "ask `ai-how config validate`")
    elif grounds.compatibility is not None:
        yield from check_compatibility(
            pins,
            grounds.compatibility,
            grounds.today,
            production=estate.profile == "production",
        )


VERSION_RULES: tuple[Rule, ...] = (compatibility,)
