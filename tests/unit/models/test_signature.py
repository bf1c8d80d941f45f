"""A checkpoint whose model names signers: taken only with a signature by one of their keys."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

from platform_assets.models.checkpoint_directory import (
    CheckpointRefused,
    JudgedCheckpoint,
    judge_checkpoint,
)
from platform_assets.models.seal import seal
from platform_assets.models.signature import SIGNATURE_NAME
from platform_assets.spec.serving import ServedModel
from tests.sample_checkpoints import huggingface_checkpoint

MODEL = "words"


class Key:
    """A signer's key pair in two PEM files."""

    def __init__(self, folder: Path, name: str) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.private, self.public = folder / f"{name}.pem", folder / f"{name}.pub"
        self.private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )

    def sign(self, directory: Path, ignored: tuple[Path, ...] = ()) -> None:
        """Sign as OpenSSF's own tool does."""
        bundle = directory / SIGNATURE_NAME
        what = hashing.Config().set_ignored_paths(paths=[bundle, *ignored], ignore_git_paths=False)
        config = signing.Config().use_elliptic_key_signer(private_key=self.private)
        config.set_hashing_config(what).sign(directory, bundle)


@pytest.fixture
def ours(tmp_path: Path) -> Key:
    return Key(tmp_path, "ours")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return huggingface_checkpoint(tmp_path / "root", MODEL, "one")


def judged(directory: Path, *keys: Key) -> JudgedCheckpoint:
    entry = ServedModel(model=MODEL, endpoint=MODEL, signers=[str(key.public) for key in keys])
    later = datetime.now(UTC) + timedelta(minutes=1)
    return judge_checkpoint(directory, directory.parent.parent, entry, later)


def test_a_signature_over_everything_by_an_allowed_key_is_taken(
    tmp_path: Path, directory: Path, ours: Key
) -> None:
    ours.sign(directory)
    found = judged(directory, Key(tmp_path, "another"), ours)
    assert found.signed_by is not None
    assert len(found.signed_by) == 64


def test_no_signature_is_refused(directory: Path, ours: Key) -> None:
    with pytest.raises(CheckpointRefused, match=r"_SIGNATURE.json: expected a signature, found"):
        judged(directory, ours)


def test_a_model_without_signers_needs_none(directory: Path) -> None:
    entry = ServedModel(model=MODEL, endpoint=MODEL)
    root = directory.parent.parent
    assert judge_checkpoint(directory, root, entry, datetime.now(UTC)).signed_by is None


def test_another_key_is_refused(tmp_path: Path, directory: Path, ours: Key) -> None:
    Key(tmp_path, "another").sign(directory)
    with pytest.raises(CheckpointRefused, match=r"one of the model's signers \(ours.pub\)"):
        judged(directory, ours)


def test_a_file_that_was_sealed_with_other_bytes_than_signed_is_refused(
    directory: Path, ours: Key
) -> None:
    ours.sign(directory)
    weights = directory / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (directory / "_COMPLETE.json").unlink()
    seal(str(directory))
    with pytest.raises(CheckpointRefused, match=r"signed by ours.pub, but over something else"):
        judged(directory, ours)


def test_a_changed_marker_is_refused(directory: Path, ours: Key) -> None:
    ours.sign(directory)
    marker = directory / "_COMPLETE.json"
    marker.write_text(marker.read_text().replace('"seed": 1', '"seed": 2'))
    with pytest.raises(CheckpointRefused, match="over something else"):
        judged(directory, ours)


def test_a_signature_that_leaves_a_file_out_is_refused(directory: Path, ours: Key) -> None:
    ours.sign(directory, (directory / "model.safetensors",))
    with pytest.raises(CheckpointRefused, match="over something else"):
        judged(directory, ours)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"verificationMaterial": {}}'])
def test_a_bundle_that_is_none_is_refused(directory: Path, ours: Key, text: str) -> None:
    (directory / SIGNATURE_NAME).write_text(text)
    with pytest.raises(CheckpointRefused, match="or a damaged one"):
        judged(directory, ours)


def test_a_flipped_byte_in_the_signed_payload_is_refused(directory: Path, ours: Key) -> None:
    ours.sign(directory)
    file = directory / SIGNATURE_NAME
    bundle = json.loads(file.read_text())
    payload = bundle["dsseEnvelope"]["payload"]
    bundle["dsseEnvelope"]["payload"] = (
        payload[:100] + ("A" if payload[100] != "A" else "B") + (payload[101:])
    )
    file.write_text(json.dumps(bundle))
    with pytest.raises(CheckpointRefused, match="or a damaged one"):
        judged(directory, ours)


def test_a_key_file_that_is_none_is_told(directory: Path, ours: Key) -> None:
    ours.sign(directory)
    ours.public.write_text("no key")
    with pytest.raises(CheckpointRefused, match=r"ours.pub: expected an elliptic-curve public key"):
        judged(directory, ours)
