"""Whether a checkpoint was signed by an allowed key: the bundle `_SIGNATURE.json` by its marker.

Format: OpenSSF Model Signing v1.0, a Sigstore bundle whose DSSE payload names every file with its
digest; keys are elliptic-curve public keys in PEM. The signature must cover the marker and exactly
the files that the marker names, by SHA-256 of whole files (the tools' default). No file is hashed
here: the marker has their digests, and the copy proves every byte against the marker.
"""

import hashlib
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from platform_assets.models.refusal import CheckpointRefused

SIGNATURE_NAME = "_SIGNATURE.json"
MAX_SIGNATURE_BYTES = 64 * 2**20


def check_signature(directory: Path, digests: Mapping[str, str], signers: Iterable[str]) -> str:
    """Return the SHA-256 of the allowed key (of its DER form) that signed exactly `digests`.

    Args:
        directory: the checkpoint, for its signature and for words.
        digests: SHA-256 of the marker and of every file that it names, by path.
        signers: the files of the allowed public keys.

    Raises:
        CheckpointRefused: there is no signature, or none by an allowed key over these bytes.
    """
    file = directory / SIGNATURE_NAME
    _check_file(file)
    for key_file in signers:
        fingerprint = _fingerprint(Path(key_file))
        if _is_signed_by(file, Path(key_file), _Declared(digests)):
            return fingerprint
    allowed = ", ".join(Path(key).name for key in signers)
    message = (
        f"{file}: expected a signature by one of the model's signers ({allowed}), found one by "
        "another key, or a damaged one; have it signed by one of them, or name the key in "
        "`signers` in the serving configuration"
    )
    raise CheckpointRefused(message)


class _Declared:
    """Takes the place of the library's hashing: returns the digests that the marker declares."""

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = digests
        self.was_asked = False

    def add_ignored_paths(self, *, model_path: object, paths: object) -> None:
        """Ignore what the signer wants ignored: every file must be signed."""

    def hash(self, model_path: object, *, files_to_hash: object = None) -> Any:  # noqa: ANN401, ARG002 - the library's signature
        """Return the manifest that a signature over this checkpoint must hold."""
        from model_signing import manifest

        self.was_asked = True
        described = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
        kind = manifest.SerializationType.from_args(described)
        items = [
            kind.new_item(path, manifest.hashing.Digest("sha256", bytes.fromhex(digest)))
            for path, digest in self._digests.items()
        ]
        return manifest.Manifest("checkpoint", items, kind)


def _is_signed_by(file: Path, key_file: Path, declared: _Declared) -> bool:
    """Tell whether this key made the signature; refuse one that it made over something else."""
    from cryptography.exceptions import InvalidSignature
    from model_signing import verifying

    try:
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key_file)
        verifier.set_hashing_config(declared).verify(file.parent, file)
    except (
        InvalidSignature,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        OSError,
    ) as error:
        if declared.was_asked:
            message = (
                f"{file}: signed by {key_file.name}, but over something else than the marker and "
                f"the files that it names: {error}; sign again after sealing"
            )
            raise CheckpointRefused(message) from error
        return False
    return declared.was_asked


def _check_file(file: Path) -> None:
    try:
        status = file.lstat()
    except OSError as error:
        message = (
            f"{file}: expected a signature, found none: the serving configuration names the "
            "model's `signers`; sign the sealed directory with one of their keys"
        )
        raise CheckpointRefused(message) from error
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_SIGNATURE_BYTES:
        message = f"{file}: expected a signature file of at most 64 MiB; sign the directory again"
        raise CheckpointRefused(message)


def _fingerprint(key_file: Path) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    try:
        key = serialization.load_pem_public_key(key_file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        message = (
            f"{key_file}: expected an elliptic-curve public key in PEM, found {error}; mend "
            "`signers` in the serving configuration"
        )
        raise CheckpointRefused(message) from error
    if not isinstance(key, EllipticCurvePublicKey):
        message = (
            f"{key_file}: expected an elliptic-curve public key, found another kind of key; mend "
            "`signers` in the serving configuration"
        )
        raise CheckpointRefused(message)
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()
