"""Image archives: what a reader of the OCI layout finds in them."""

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.lab.oci_image import FilesLayer, ImageConfig, TarLayer, image_digest, write_image

NAME = "docker.io/ai-how/sample:1"
CONFIG = ImageConfig(
    ["/usr/bin/sample"], ["--now"], {"A": "b"}, user="65532", labels={"made-by": "test"}
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "deep/er").mkdir(parents=True)
    (root / "program").write_bytes(b"\x7fELF")
    (root / "program").chmod(0o755)
    (root / "deep/er/text").write_text("text")
    (root / "deep/link").symlink_to("er/text")
    os.link(root / "deep/er/text", root / "deep/same")
    return root


def blobs(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar.getmembers()}


def layers_of(archive: Path) -> list[tuple[dict, bytes]]:
    found = blobs(archive)
    entry = json.loads(found["index.json"])["manifests"][0]
    manifest = json.loads(found[entry["digest"].replace("sha256:", "blobs/sha256/")])
    return [
        (layer, found[layer["digest"].replace("sha256:", "blobs/sha256/")])
        for layer in manifest["layers"]
    ]


def entries(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        return {member.name: member for member in tar.getmembers()}


@pytest.mark.parametrize("compress", [False, True])
def test_every_blob_has_the_digest_and_size_that_name_it(tree: Path, compress: bool) -> None:
    archive = tree.parent / "image.tar"
    layers = [FilesLayer({"/opt/sample": tree}), FilesLayer({"/etc/one": tree / "deep/er/text"})]
    digest = write_image(archive, NAME, layers, CONFIG, compress=compress)
    assert image_digest(archive) == digest
    found = blobs(archive)
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    entry = json.loads(found["index.json"])["manifests"][0]
    assert entry["annotations"]["io.containerd.image.name"] == NAME
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1"
    manifest = json.loads(found[digest.replace("sha256:", "blobs/sha256/")])
    config = json.loads(found[manifest["config"]["digest"].replace("sha256:", "blobs/sha256/")])
    assert config["config"]["Entrypoint"] == ["/usr/bin/sample"]
    assert config["config"]["Env"] == ["A=b"]
    plain = [gzip.decompress(data) if compress else data for _, data in layers_of(archive)]
    expected = [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in plain]
    assert config["rootfs"]["diff_ids"] == expected
    assert [layer["size"] for layer, _ in layers_of(archive)] == [
        len(data) for _, data in layers_of(archive)
    ]


def test_a_layer_of_files_keeps_modes_links_and_names_its_directories(tree: Path) -> None:
    archive = tree.parent / "image.tar"
    write_image(archive, NAME, [FilesLayer({"/opt/sample": tree})], CONFIG)
    found = entries(layers_of(archive)[0][1])
    assert found["opt"].isdir()
    assert found["opt/sample/program"].mode == 0o755
    assert found["opt/sample/deep/link"].linkname == "er/text"
    assert found["opt/sample/deep/same"].linkname == "opt/sample/deep/er/text"
    assert {(entry.uid, entry.gid, entry.uname) for entry in found.values()} == {(0, 0, "")}
    assert found["opt/sample/program"].mtime == int((tree / "program").stat().st_mtime)


def test_a_tree_may_be_the_whole_root(tree: Path) -> None:
    archive = tree.parent / "image.tar"
    write_image(archive, NAME, [FilesLayer({"/": tree})], CONFIG)
    assert "deep/er/text" in entries(layers_of(archive)[0][1])


def test_equal_files_with_one_time_make_the_same_image(tree: Path) -> None:
    layers = [FilesLayer({"/opt": tree}, mtime=0)]
    first = write_image(tree.parent / "1.tar", NAME, layers, CONFIG)
    os.utime(tree / "program", (5, 5))
    assert write_image(tree.parent / "2.tar", NAME, layers, CONFIG) == first
    (tree / "program").write_bytes(b"other")
    assert write_image(tree.parent / "3.tar", NAME, layers, CONFIG) != first


@pytest.mark.parametrize("compressed", [False, True])
def test_a_tar_becomes_a_layer_as_it_is(tree: Path, compressed: bool) -> None:
    given = tree.parent / "root.tar"
    with tarfile.open(given, "w:gz" if compressed else "w") as tar:
        tar.add(tree, "usr")
    archive = tree.parent / "image.tar"
    write_image(archive, NAME, [TarLayer(given)], CONFIG)
    [(layer, content)] = layers_of(archive)
    assert content == given.read_bytes()
    assert layer["mediaType"].endswith("gzip") == compressed


def test_a_layer_twice_lies_in_the_archive_once(tree: Path) -> None:
    layer = FilesLayer({"/opt": tree}, mtime=0)
    archive = tree.parent / "image.tar"
    write_image(archive, NAME, [layer, layer], CONFIG)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["pause", "pause:1", "ai-how/pause:1", "docker.io/ai-how/pause"])
def test_a_name_that_containerd_would_not_find_is_refused(tree: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected registry, path and tag"):
        write_image(tree.parent / "image.tar", name, [], CONFIG)


def test_a_layer_that_fails_leaves_no_archive(tree: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_image(tree.parent / "image.tar", NAME, [TarLayer(tree / "none")], CONFIG)
    assert not list(tree.parent.glob("*image.tar*"))
