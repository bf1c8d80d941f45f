"""The cases of the path rule and of the manifest's form, for whoever carries these rules.

The platform has them, `seal.py` on compute nodes, and the storage container: nothing of ours can be
imported there, so the same cases are put to all.
"""

import unicodedata

from hypothesis import strategies as st

from platform_assets.lineage.manifest import FileEntry, Manifest

# What is outside the rule, and the words that say why.
OUTSIDE = [
    ("", "empty part"),
    ("/etc/passwd", "absolute"),
    ("/", "absolute"),
    ("a//b", "empty part"),
    ("a/", "empty part"),
    ("a/./b", "`.` or `..`"),
    ("../b", "`.` or `..`"),
    ("a/..", "`.` or `..`"),
    ("a\\b", "backslash"),
    ("a\nb", "control character"),
    ("a\x00b", "control character"),
    ("a\x9bb", "control character"),
    (unicodedata.normalize("NFD", "gewähr"), "not NFC"),
    ("\udc80", "not UTF-8"),
    ("ä" * 257, "514 bytes, more than 512"),
]
ORDINARY = ["MLmodel", "a/b.json", "ä" * 256, "...", "a b", ".hidden", "模型", 'a"b', "a+b%20&c"]

PARTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(["", ".", "..", "a"])
PATHS = st.lists(PARTS, max_size=5).map("/".join) | st.text(max_size=20)

GOOD = Manifest((FileEntry("a", 1, "0" * 64),)).to_bytes()
# What is no manifest, and the words that say why.
NO_MANIFEST = [
    (b"\xff", "do not parse"),
    (b"[" * 100_000, "do not parse"),
    (b"[]", "keys `files` and `version`"),
    (GOOD.replace(b'"version":1', b'"version":2'), "version: expected 1, found 2"),
    (GOOD.replace(b'"version":1', b'"extra":0,"version":1'), "keys `files` and `version`"),
    (GOOD.replace(b'"size":1', b'"size":1,"time":0'), "files[0]"),
    (GOOD.replace(b'"size":1', b'"size":-1'), "expected 0 to 2^53-1, found -1"),
    (GOOD.replace(b'"size":1', b'"size":true'), "found True"),
    (GOOD.replace(b'"a"', b'"../a"'), "`.` or `..`"),
    (GOOD.replace(b'"a"', b"1"), "files[0].path: expected text"),
    (GOOD.replace(b"0" * 64, b"A" * 64), "expected 64 hex digits"),
    (GOOD + b"\n", "expected the canonical bytes"),
    (b'{"files":[],"version":1}', "at least one file"),
]
