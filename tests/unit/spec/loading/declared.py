"""Estates from a few words for the tests of dialects: as they load, and what is told of them."""

import yaml

from platform_assets.spec.canonical import canonical
from platform_assets.spec.loading.load import load

SIZE = {"cpu_cores": "4", "memory_gb": "8", "disk_gb": "50"}
SOUND = {"cpu_cores": 4, "memory_gb": 8, "disk_gb": 50}


def loaded(declared, **variables):
    text = declared if isinstance(declared, str) else yaml.safe_dump(declared, sort_keys=False)
    return load(text.encode(), "e.yaml", variables)


def form(declared, **variables):
    result = loaded(declared, **variables)
    assert result.findings == ()
    return canonical(result.estate)


def clusters(**declared):
    return form({"metadata": {"name": "e"}, "clusters": declared})["clusters"]


def told(declared, **variables):
    found = loaded(declared, **variables).findings
    return [(f.rule, f.severity.value, f.line, f.message) for f in found]
