"""The images of the lab: built once, small, and of the versions that the platform has."""

import importlib.metadata
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.image_cache import built_once, cache_directory
from tests.lab.images import Image, mlserver_image, storage_container_image

MOST_BYTES = 700_000_000
SHARED = ("mlflow", "mlserver", "mlserver-mlflow", "scikit-learn", "skops")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_directory()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


def test_a_recipe_is_built_once_by_two_builders_at_once(own_cache: Path) -> None:
    built: list[Path] = []

    def build(path: Path) -> None:
        built.append(path)
        path.write_text("an image")

    builders = [
        threading.Thread(target=built_once, args=("sample", "recipe", build)) for _ in range(4)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(20)
    assert len(built) == 1
    assert built_once("sample", "recipe", build).read_text() == "an image"
    assert built_once("sample", "another recipe", build).exists()
    assert len(built) == 2


def test_a_build_that_fails_leaves_nothing_and_is_tried_again(own_cache: Path) -> None:
    def fails(path: Path) -> None:
        path.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        built_once("sample", "recipe", fails)
    assert names(own_cache) == []
    assert built_once("sample", "recipe", lambda path: _ignore(path.write_text("x"))).exists()


def test_of_each_name_the_last_two_are_kept(own_cache: Path) -> None:
    for number in range(4):
        built_once("sample", str(number), lambda path: _ignore(path.write_text("x")))
    built_once("other", "recipe", lambda path: _ignore(path.write_text("x")))
    assert [name.partition("-")[0] for name in names(own_cache)] == ["other", "sample", "sample"]


@pytest.mark.usefixtures("poor_machine")
def test_mlserver_is_small_and_has_the_versions_of_the_platform() -> None:
    image = mlserver_image()
    assert sum(layer["size"] for layer in layers_of(image)) < MOST_BYTES
    packages = {path for path in files_of(image) if path.endswith(".dist-info/METADATA")}
    for name in SHARED:
        version = importlib.metadata.version(name)
        wanted = f"/{name.replace('-', '_')}-{version}.dist-info/METADATA"
        assert any(path.endswith(wanted) for path in packages), wanted


@pytest.mark.usefixtures("poor_machine")
def test_the_storage_container_stands_on_the_same_layer() -> None:
    assert layers_of(storage_container_image())[0] == layers_of(mlserver_image())[0]
    assert "opt/storage-container/storage_container/__main__.py" in set(
        files_of(storage_container_image())
    )


def layers_of(image: Image) -> list[dict[str, object]]:
    with tarfile.open(image.archive) as archive:
        digest = image.pinned.rpartition(":")[2]
        manifest = archive.extractfile(f"blobs/sha256/{digest}")
        assert manifest is not None
        return list(json.load(manifest)["layers"])


def files_of(image: Image) -> Iterator[str]:
    """The paths in the image's own layer."""
    digest = str(layers_of(image)[-1]["digest"]).partition(":")[2]
    with tarfile.open(image.archive) as archive:
        layer = archive.extractfile(f"blobs/sha256/{digest}")
        with tarfile.open(fileobj=layer) as files:
            yield from files.getnames()


def _ignore(_written: object) -> None:
    """Drop the number of characters that were written."""
