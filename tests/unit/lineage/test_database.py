import hashlib

from platform_assets.lineage.database import lock_key


def test_the_key_of_a_lock_is_the_first_64_bits_of_its_names_digest():
    for name in ("endpoint digits", "é"):
        first = hashlib.sha256(name.encode()).hexdigest()[:16]
        assert lock_key(name) % 2**64 == int(first, 16)
        assert -(2**63) <= lock_key(name) < 2**63
