"""The rule for names of models, runs, endpoints and estates."""

import pytest

from platform_assets.spec.names import NameRefused, checked_name


@pytest.mark.parametrize("name", ["", "A", "1a", "a-", "a_b", "a" * 25, "a\n"])
def test_a_name_outside_the_rule_is_refused(name):
    with pytest.raises(NameRefused, match="rename it"):
        checked_name("model", name)


@pytest.mark.parametrize("name", ["a", "digits-2", "a" * 24])
def test_a_name_inside_the_rule_is_kept(name):
    assert checked_name("model", name) == name
