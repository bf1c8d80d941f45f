"""Our signature of a request is the one that botocore makes."""

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from resources.s3_signature import UNSIGNED, Signer, encoded_path, encoded_query


@pytest.mark.parametrize(
    ("method", "key", "query"),
    [
        ("PUT", "models/digits/sha256-00/weights.bin", {}),
        ("PUT", "a b/ü+&=%~.bin", {"partNumber": "12", "uploadId": "a/b+c=="}),
        ("POST", "k", {"uploads": ""}),
        ("GET", "", {"list-type": "2", "prefix": "models/a b/", "continuation-token": "x=/+"}),
    ],
)
def test_it_equals_botocores(method, key, query):
    path, query_string = encoded_path("bucket", key), encoded_query(query)
    headers = {"host": "store:8333", "x-amz-meta-a": "b", "x-amz-checksum-crc64nvme": "M3eFcA="}
    request = AWSRequest(method, f"http://store:8333{path}?{query_string}", headers=dict(headers))
    request.context["client_config"] = None
    request.context["payload_signing_enabled"] = False
    request.context["timestamp"] = ""
    theirs = S3SigV4Auth(Credentials("ACCESS", "secret/key"), "s3", "us-east-1")
    theirs.payload = lambda _request: UNSIGNED
    theirs.add_auth(request)
    stamp = datetime.strptime(request.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    ours = Signer("ACCESS", "secret/key", "us-east-1").signed(
        method, path, query_string, headers, payload=UNSIGNED, now=stamp
    )
    assert ours["authorization"] == request.headers["Authorization"]


def test_a_new_day_has_a_new_key():
    signer = Signer("ACCESS", "secret", "us-east-1")

    def signature(day):
        now = datetime(2026, 11, day, tzinfo=UTC)
        signed = signer.signed("GET", "/b", "", {"host": "h"}, payload=UNSIGNED, now=now)
        return signed["authorization"]

    assert signature(1) != signature(2)
    assert signature(1) == signature(1)
    assert "secret" not in repr(signer)
