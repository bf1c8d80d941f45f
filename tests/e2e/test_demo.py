"""The newcomer's path: a fresh clone, `make demo` twice, `ai-how down`, and nothing left behind."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 900


def environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(("AI_HOW", "VIRTUAL_ENV"))}


@pytest.fixture
def clone(tmp_path):
    where = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, where], check=True, timeout=120)
    yield where
    command = [where / ".venv/bin/ai-how", "down"]
    if command[0].exists():
        subprocess.run(command, cwd=where, env=environment(), timeout=300, check=True)
    shutil.rmtree(where)


def demo(clone):
    answer = subprocess.run(
        ["make", "demo"],
        cwd=clone,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-6000:] + answer.stderr[-6000:]
    return answer.stdout


def system_accounts_and_modes(clone):
    folders = [clone, *clone.parents]
    return Path("/etc/passwd").read_bytes(), [(f, f.stat().st_mode) for f in folders]


@pytest.mark.timeout(2 * TIMEOUT_S)
def test_the_demo_serves_a_model_twice_alike_and_leaves_nothing(clone):
    before = system_accounts_and_modes(clone)
    first = demo(clone)
    (curl,) = re.findall(r"^curl .*$", first, re.MULTILINE)
    answer = subprocess.run(
        curl, shell=True, cwd=clone, capture_output=True, text=True, timeout=60, check=True
    )
    assert '"outputs"' in answer.stdout
    found = re.search(r"predicted (\d), true label (\d)", first)
    assert found is not None
    assert found[1] == found[2]
    (dagster,) = re.findall(r"Dagster UI\s+(http://127.0.0.1:\d+)", first)
    assert httpx.get(f"{dagster}/server_info", timeout=30).status_code == 200

    command = [clone / ".venv/bin/ai-how"]

    def listing():
        return subprocess.run(
            [*command, "lineage", "endpoint", "digits", "--json"],
            cwd=clone,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout

    chain = listing()
    demo(clone)
    assert listing() == chain, "the second run changed what is served"

    subprocess.run([*command, "down"], cwd=clone, env=environment(), timeout=300, check=True)
    assert [
        p for p in psutil.process_iter(["cmdline"]) if str(clone) in str(p.info["cmdline"])
    ] == []
    assert system_accounts_and_modes(clone) == before
