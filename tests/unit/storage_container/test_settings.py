"""What KServe tells the container, and what is wrong with it in words for people."""

import pytest

from storage_container.errors import Misused
from storage_container.settings import endpoint_of, source_of

HEX = "ab" * 32
PLACE = f"s3://models/models/digits/sha256-{HEX}"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}
# As KServe 0.20 makes it from an annotated Secret.
SECRET = {
    **KEYS,
    "S3_USE_HTTPS": "0",
    "S3_ENDPOINT": "seaweedfs.storage:8333",
    "AWS_ENDPOINT_URL": "http://seaweedfs.storage:8333",
    "AWS_DEFAULT_REGION": "eu-central-1",
}


@pytest.mark.parametrize("uri", [PLACE, PLACE + "/", PLACE + "//"])
def test_the_digest_is_read_from_the_prefix(uri):
    source, destination = source_of([uri, "/mnt/models"], {})
    assert source.bucket == "models"
    assert source.prefix == f"models/digits/sha256-{HEX}/"
    assert source.tree_digest == HEX
    assert str(destination) == "/mnt/models"
    assert source.url("MLmodel") == f"{PLACE}/MLmodel"


def test_a_prefix_without_digest_needs_one_told():
    with pytest.raises(Misused, match=r"ends in sha256-HEX/.*or set AI_HOW_TREE_DIGEST"):
        source_of(["s3://models/digits/1", "/mnt/models"], {})
    told = {"AI_HOW_TREE_DIGEST": HEX}
    assert source_of(["s3://models/digits/1", "/m"], told)[0].prefix == "digits/1/"


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {}, "found 0 arguments"),
        ([PLACE, "/a", PLACE, "/b"], {}, "give `model.storageUri`, not `storageUris`"),
        (["gs://models/x", "/m"], {}, "expected s3://BUCKET/"),
        (["s3://models", "/m"], {}, "expected s3://BUCKET/"),
        (["s3://models//", "/m"], {}, "expected s3://BUCKET/"),
        (["s3://models/a\nb", "/m"], {}, "expected s3://BUCKET/"),
        (["s3://../x/y", "/m"], {}, "expected s3://BUCKET/"),
        ([PLACE.upper().replace("S3", "s3"), "/m"], {}, "expected s3://BUCKET/"),
        ([PLACE[:-1], "/m"], {}, "ends in sha256-HEX/"),
        ([PLACE, "models"], {}, "DESTINATION: expected an absolute path"),
        ([PLACE, "/m"], {"AI_HOW_TREE_DIGEST": "cd" * 32}, "must agree"),
        ([PLACE, "/m"], {"AI_HOW_TREE_DIGEST": "latest"}, "expected 64 hex digits"),
    ],
)
def test_arguments_that_name_no_single_copy_are_refused(arguments, environment, words):
    with pytest.raises(Misused) as refused:
        source_of(arguments, environment)
    assert words in str(refused.value)


def test_the_secret_says_where_the_store_is():
    found = endpoint_of(SECRET)
    assert (found.tls, found.host, found.port) == (False, "seaweedfs.storage", 8333)
    assert (found.region, found.url) == ("eu-central-1", "http://seaweedfs.storage:8333")
    assert (found.access_key, found.secret_key) == ("key", "s3cr3t")
    assert found.verify
    assert not found.virtual_bucket


def test_no_secret_is_shown():
    assert "s3cr3t" not in repr(endpoint_of(SECRET))


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        (KEYS, "https://s3.us-east-1.amazonaws.com"),
        ({**KEYS, "AWS_DEFAULT_REGION": "eu-west-3"}, "https://s3.eu-west-3.amazonaws.com"),
        ({**KEYS, "S3_ENDPOINT": "minio:9000", "S3_USE_HTTPS": "0"}, "http://minio:9000"),
        ({**KEYS, "S3_ENDPOINT": "minio:9000"}, "https://minio:9000"),
    ],
)
def test_the_address_has_the_defaults_of_the_aws_tools(environment, url):
    assert endpoint_of(environment).url == url


def test_anonymous_reads_need_no_keys():
    found = endpoint_of({"awsAnonymousCredential": "true"})
    assert found.access_key == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID: expected a key of the object store"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "found nothing; the service account of the predictor"),
        ({"AWS_SECRET_ACCESS_KEY": "a\nb"}, "found something unprintable"),
        ({"AWS_ENDPOINT_URL": "ftp://a"}, "expected http(s)://HOST[:PORT], found 'ftp://a'"),
        ({"AWS_ENDPOINT_URL": "http://a:99999"}, "expected http(s)://HOST[:PORT]"),
        ({"AWS_ENDPOINT_URL": "http://a/b"}, "expected http(s)://HOST[:PORT]"),
        ({"AWS_ENDPOINT_URL": "http://me:s3cr3t@a"}, "found 'http://a'"),
        ({"AWS_ENDPOINT_URL": "https://a", "AWS_CA_BUNDLE": "/no/such"}, "found none"),
        ({"AI_HOW_PATIENCE_S": "soon"}, "expected seconds"),
    ],
)
def test_an_environment_that_will_not_do_says_what_to_correct(change, words):
    with pytest.raises(Misused) as refused:
        endpoint_of(SECRET | change)
    assert words in str(refused.value)
    assert "s3cr3t" not in str(refused.value)
