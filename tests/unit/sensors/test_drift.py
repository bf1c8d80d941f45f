from dataclasses import replace

import dagster as dg

from platform_assets.serving.live_endpoints import LiveEndpoint
from sensors.drift import digest_of_observation, live_observation

AGREES = LiveEndpoint(
    endpoint="digits",
    url="http://127.0.0.1:1/v2/models/digits/infer",
    served_digest="a" * 64,
    expected_digest="a" * 64,
    agrees=True,
    model="digits",
    version="3",
    checkpoint="digits.run-1.0123456789ab",
    since="2026-11-21T12:00:00.000000Z",
    reason="server and ledger agree",
)
SWAPPED = replace(AGREES, served_digest="b" * 64, agrees=False, reason="the server serves another")


def test_the_same_observation_has_the_same_digest_and_a_swap_another():
    assert digest_of_observation([AGREES]) == digest_of_observation([replace(AGREES)])
    assert digest_of_observation([AGREES]) != digest_of_observation([SWAPPED])
    assert digest_of_observation([AGREES]) != digest_of_observation([])


def test_an_observation_names_the_endpoints_that_differ():
    event = live_observation([AGREES, replace(SWAPPED, endpoint="letters")], {})
    assert event.description == "2 endpoints, 1 differ from the ledger"
    assert event.metadata["differing"].value == "letters"
    assert event.metadata["agrees"].value is False


def test_its_data_version_follows_what_is_served():
    agrees, swapped = (
        live_observation([one], {}).tags["dagster/data_version"] for one in (AGREES, SWAPPED)
    )
    assert agrees != swapped


def test_an_observation_shows_the_evidence_of_its_provider():
    pods = dg.MetadataValue.text("one pod")
    assert live_observation([AGREES], {"pods": pods}).metadata["pods"] == pods
