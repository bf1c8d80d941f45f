"""The rights in `docs/serving.md` are those that `ai-how serving check` asks for."""

import re
from pathlib import Path

import yaml

from platform_assets.serving.cluster_demands import EVERYWHERE, IN_NAMESPACE


def expanded(rules):
    return {
        (verb, group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(table):
    return {
        (verb, group, resource)
        for verbs, group, resources in table
        for verb in verbs.split()
        for resource in resources.split()
    }


def test_they_are_the_same():
    page = Path("docs/serving.md").read_text()
    blocks = re.findall(r"```yaml\n(apiVersion: rbac.*?)```", page, re.DOTALL)
    role, cluster_role = yaml.safe_load_all(blocks[0])
    assert expanded(role["rules"]) == asked(IN_NAMESPACE)
    assert expanded(cluster_role["rules"]) == asked(EVERYWHERE)
