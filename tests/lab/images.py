"""The images of the lab's pods: a Debian with Python, and on it MLServer or our storage container.

Both share the layer of the root file system. MLServer's packages have the versions of `uv.lock`, so
that a model saved by the platform is loaded by what saved it; packages that serving never imports
are left out. Nothing is pulled from a registry of images: Debian comes from its mirror by
mmdebstrap, the rest from PyPI by uv. Building needs root (chroot); what is built stays in the
user's cache.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.lab.image_cache import (
    ImageBuildFailed,
    built_once,
    cache_directory,
    file_digest,
    recipe_key,
    tree_digest,
)
from tests.lab.oci_image import FilesLayer, ImageConfig, TarLayer, image_digest, write_image
from tests.lab.programs import program

PROJECT = Path(__file__).parents[2]
STORAGE_CONTAINER_SOURCE = PROJECT / "images" / "storage-container"

REGISTRY = "docker.io/ai-how"  # never asked: the images are given to the node
USER = "1000:1000"  # KServe's runtimes demand a user that is not root

SUITE = "bookworm"
PYTHON = "3.11"  # what the suite carries
_MMDEBSTRAP = (
    "mmdebstrap",
    "--quiet",
    "--variant=apt",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--include=python3,ca-certificates,usr-is-merged",  # usrmerge would bring the whole of Perl
    '--aptopt=APT::Install-Recommends "false"',
    *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale")),
    SUITE,
)
_PLATFORM = "manylinux_2_36"
_PACKAGES = ("mlserver", "mlserver-mlflow", "mlflow", "scikit-learn", "skops")
# Wanted by MLflow's tracking server and plots, never imported while a model is served.
_LEFT_OUT = (
    "alembic",
    "docker",
    "flask-cors",
    "gitpython",
    "graphene",
    "gunicorn",
    "huey",
    "matplotlib",
    "pyarrow",
)
_HOME = "/opt/mlserver"
_SITE = f"lib/python{PYTHON}/site-packages"
# What a served model imports is compiled in the image, for a pod has no place to keep it.
_IMPORTED = "mlserver.cli, mlserver_mlflow, mlflow.sklearn, skops.io, sklearn.pipeline"
_SERVE = "from mlserver.cli import main; main()"
_BUILT_AT = 1_700_000_000  # one time for all files: the same packages make the same layer
_TIMEOUT_S = 1200


@dataclass(frozen=True)
class Image:
    """An image in an archive; its tag tells one recipe from another."""

    name: str
    archive: Path

    @cached_property
    def pinned(self) -> str:
        """Its name with the digest of its manifest, as pods are to name images."""
        return f"{self.name.rpartition(':')[0]}@{image_digest(self.archive)}"


def mlserver_image() -> Image:
    """Return the image that starts `mlserver start /mnt/models`."""
    root = root_file_system()
    requirements = _requirements()
    recipe = "\n".join(
        [root.name, requirements, *_LEFT_OUT, _IMPORTED, file_digest(Path(__file__))]
    )

    def build(archive: Path) -> None:
        with tempfile.TemporaryDirectory(dir=cache_directory(), prefix=".mlserver-") as scratch:
            home = _mlserver_home(Path(scratch), root, requirements)
            layer = FilesLayer({_HOME: home}, mtime=_BUILT_AT)
            write_image(archive, name, [TarLayer(root), layer], _mlserver_config())

    name = f"{REGISTRY}/mlserver:{recipe_key(recipe)}"
    return Image(name, built_once("mlserver.tar", recipe, build))


def storage_container_image() -> Image:
    """Return the image of `images/storage-container`, on the same file system."""
    root = root_file_system()
    package = STORAGE_CONTAINER_SOURCE / "storage_container"
    recipe = "\n".join([root.name, tree_digest(package), file_digest(Path(__file__))])

    def build(archive: Path) -> None:
        config = ImageConfig(
            entrypoint=["/usr/bin/python3", "-m", "storage_container"],
            environment={"PYTHONPATH": "/opt/storage-container", "PYTHONUNBUFFERED": "1"},
            user=USER,
        )
        with tempfile.TemporaryDirectory(prefix="storage-container-") as scratch:
            copy = Path(scratch) / "storage_container"
            shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
            layer = FilesLayer({"/opt/storage-container/storage_container": copy}, mtime=_BUILT_AT)
            write_image(archive, name, [TarLayer(root), layer], config)

    name = f"{REGISTRY}/storage-container:{recipe_key(recipe)}"
    return Image(name, built_once("storage-container.tar", recipe, build))


def kserve_manager_image() -> Image:
    """Return the image of KServe's manager, as its own: one program, a user that is not root."""
    manager = program("kserve-manager")
    recipe = "\n".join([file_digest(manager), file_digest(Path(__file__))])

    def build(archive: Path) -> None:
        layer = FilesLayer({"/manager": manager}, mtime=_BUILT_AT)
        write_image(archive, name, [layer], ImageConfig(entrypoint=["/manager"], user=USER))

    name = f"{REGISTRY}/kserve-manager:{recipe_key(recipe)}"
    return Image(name, built_once("kserve-manager.tar", recipe, build))


def root_file_system() -> Path:
    """Return the tar of a small Debian with Python."""

    def build(tar: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "SOURCE_DATE_EPOCH": str(_BUILT_AT)}
        _run([*_MMDEBSTRAP, "--format=tar", str(tar)], environment)

    return built_once("rootfs.tar", "\n".join(_MMDEBSTRAP), build)


def _mlserver_config() -> ImageConfig:
    return ImageConfig(
        entrypoint=[f"{_HOME}/bin/python", "-c", _SERVE, "start"],
        command=["/mnt/models"],
        environment={
            "DO_NOT_TRACK": "true",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HOME": "/tmp",
            "PATH": f"{_HOME}/bin:/usr/bin:/bin",
            "PYTHONUNBUFFERED": "1",
        },
        working_directory="/tmp",
        user=USER,
    )


def _requirements() -> str:
    """The packages' versions as `uv.lock` has them, and those that are left out."""
    exported = _run(
        ["uv", "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--quiet"],
        os.environ,
    )
    return "\n".join(line for line in exported.splitlines() if line[:1] not in {"", " ", "#"})


def _mlserver_home(scratch: Path, root: Path, requirements: str) -> Path:
    """Make a virtual environment of the image's Python, with what it imports compiled."""
    system = scratch / "root"
    home = system / _HOME.lstrip("/")
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").symlink_to(f"/usr/bin/python{PYTHON}")
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    _install(scratch, home / _SITE, requirements)
    _remove_what_no_server_reads(home / _SITE)
    for path in home.rglob("*"):
        os.utime(path, (_BUILT_AT, _BUILT_AT), follow_symlinks=False)
    _run(["tar", "-C", str(system), "--exclude=./dev/*", "-xf", str(root)], os.environ)
    # Compiled files remember the times of their sources, which are the same in every build.
    compile_imports = ["chroot", str(system), f"{_HOME}/bin/python", "-c", f"import {_IMPORTED}"]
    _run(compile_imports, {"PATH": os.environ["PATH"], "HOME": "/tmp"})
    return home


def _install(scratch: Path, target: Path, requirements: str) -> None:
    constraints = scratch / "constraints.txt"
    constraints.write_text(requirements)
    overrides = scratch / "overrides.txt"
    overrides.write_text("".join(f"{name} ; python_version < '3'\n" for name in _LEFT_OUT))
    command = ["uv", "pip", "install", "--quiet", "--only-binary=:all:", "--link-mode=copy"]
    command += [f"--target={target}", f"--python={sys.executable}", f"--python-version={PYTHON}"]
    command += [f"--python-platform={os.uname().machine}-{_PLATFORM}"]
    command += [f"--constraints={constraints}", f"--overrides={overrides}", *_PACKAGES]
    _run(command, os.environ)


def _remove_what_no_server_reads(packages: Path) -> None:
    unread = [*packages.rglob("tests"), packages / "mlflow" / "server" / "js", packages / "bin"]
    for directory in unread:
        if directory.is_dir():
            shutil.rmtree(directory)


def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    try:
        ended = subprocess.run(
            command,
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        message = f"{command[0]}: no such program; `make lab-setup` installs what the lab needs"
        raise ImageBuildFailed(message) from error
    if ended.returncode:
        told = (ended.stderr or ended.stdout)[-3000:]
        message = f"{' '.join(command)}: ended with {ended.returncode}: {told}"
        raise ImageBuildFailed(message)
    return ended.stdout
