"""Every rule there is, in the order of the modules."""

from platform_assets.spec.rules.grounds import Rule

RULES: tuple[Rule, ...] = ()
