"""The container's signature is the platform's, which botocore's is too."""

from datetime import UTC, datetime

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from resources import s3_signature as platform
from storage_container.signature import Signer, encoded_path, encoded_query

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(TEXT, st.dictionaries(TEXT.filter(bool), TEXT, max_size=3), st.datetimes())
def test_requests_are_signed_as_the_platform_signs_them(key, query, moment):
    now = moment.replace(tzinfo=UTC)
    headers = {"host": "store:8333", "range": "bytes=0-1"}
    path, text = encoded_path(f"/models/{key}"), encoded_query(query)
    signed = Signer("key", "secret", "us-east-1").signed("GET", path, text, headers, now)
    theirs = platform.Signer("key", "secret", "us-east-1")
    assert signed == theirs.signed("GET", path, text, headers, payload=EMPTY, now=now)


def test_a_session_token_is_signed_as_botocore_does():
    now = datetime.now(UTC)
    signer = Signer("key", "secret", "eu-west-3", "to/ken+")
    ours = signer.signed("GET", "/models/a%20b", "", {"host": "store:8333"}, now)
    request = AWSRequest("GET", "http://store:8333/models/a%20b", headers={})
    request.context["timestamp"] = ours["x-amz-date"]
    auth = S3SigV4Auth(Credentials("key", "secret", "to/ken+"), "s3", "eu-west-3")
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = "to/ken+"
    request.headers["X-Amz-Content-SHA256"] = EMPTY
    text = auth.string_to_sign(request, auth.canonical_request(request))
    assert ours["authorization"].endswith(f"Signature={auth.signature(text, request)}")
    assert "secret" not in repr(signer)
    assert "to/ken" not in repr(signer)
