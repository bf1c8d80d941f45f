"""What holds for every rule: the sound estate passes, docstrings explain, names are stable."""

import pytest

from platform_assets.spec.model.estate import Estate
from platform_assets.spec.rules.all_rules import RULES
from platform_assets.spec.rules.grounds import Rule
from tests.unit.spec.rules.sound import GROUNDS, estate, line

EMPTY = Estate.model_validate({"metadata": {"name": "empty"}})
BARE = Estate.model_validate({"metadata": {"name": "bare"}, "clusters": {"hpc": {}, "cloud": {}}})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_sound_estate_passes(rule: Rule) -> None:
    assert [line(finding) for finding in rule(estate(), GROUNDS)] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("declared", [EMPTY, BARE], ids=["empty", "bare"])
def test_what_is_not_declared_is_not_wrong(rule: Rule, declared: Estate) -> None:
    assert [line(finding) for finding in rule(declared, GROUNDS)] == []


def test_rules_have_names_and_titles_of_their_own() -> None:
    names = [rule.__name__ for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        title = (rule.__doc__ or "").splitlines()[0]
        assert title.endswith("."), rule.__name__
