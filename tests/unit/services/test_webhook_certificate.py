"""When authority and certificate of the webhooks are made anew, and who is trusted meanwhile."""

import datetime as dt

from platform_assets.services.webhook_certificate import (
    AUTHORITY_VALID,
    CERTIFICATE_VALID,
    Issued,
    authority_objection,
    bundle,
    certificate_objection,
    ends_soon,
    new_authority,
    new_certificate,
)

NOW = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
HOSTS = ("webhooks.kserve.svc", "webhooks.kserve.svc.cluster.local")
AUTHORITY = new_authority(NOW)
CERTIFICATE = new_certificate(AUTHORITY, HOSTS, NOW)


def test_what_was_just_made_will_do():
    assert authority_objection(AUTHORITY, NOW) == ""
    assert certificate_objection(CERTIFICATE, AUTHORITY, HOSTS, NOW) == ""
    assert ends_soon(CERTIFICATE.certificate, NOW) == ""


def test_each_is_renewed_when_a_third_of_its_time_is_left():
    for valid, objection in (
        (AUTHORITY_VALID, lambda now: authority_objection(AUTHORITY, now)),
        (
            CERTIFICATE_VALID,
            lambda now: certificate_objection(CERTIFICATE, AUTHORITY, HOSTS, now),
        ),
    ):
        assert objection(NOW + valid * 0.66) == ""
        assert objection(NOW + valid * 0.67) == f"it ends {NOW + valid:%Y-%m-%d}"
    assert ends_soon(CERTIFICATE.certificate, NOW + CERTIFICATE_VALID) != ""


def test_what_does_not_fit_together_is_told():
    other = new_authority(NOW)
    mixed = Issued(CERTIFICATE.certificate, other.key)
    assert authority_objection(None, NOW) == "there is none"
    assert authority_objection(Issued("", ""), NOW) == "it cannot be read"
    assert authority_objection(Issued(AUTHORITY.certificate, other.key), NOW) == (
        "its key is another's"
    )
    assert certificate_objection(mixed, AUTHORITY, HOSTS, NOW) == "its key is another's"
    assert "does not vouch" in certificate_objection(CERTIFICATE, other, HOSTS, NOW)
    assert certificate_objection(CERTIFICATE, AUTHORITY, ("a.b.svc",), NOW) == (
        "it is for other hosts"
    )
    assert certificate_objection(Issued("x", "y"), AUTHORITY, HOSTS, NOW).startswith(
        "it cannot be read"
    )


def test_the_last_authority_is_trusted_as_long_as_it_is_valid():
    older = new_authority(NOW - dt.timedelta(days=2))
    last = new_authority(NOW - dt.timedelta(days=1))
    before = last.certificate + older.certificate + AUTHORITY.certificate + "no certificate"
    assert bundle(AUTHORITY, before, NOW) == AUTHORITY.certificate + last.certificate
    assert bundle(AUTHORITY, before, NOW + AUTHORITY_VALID) == AUTHORITY.certificate
    assert bundle(AUTHORITY, "", NOW) == AUTHORITY.certificate


def test_a_key_is_never_shown():
    assert "PRIVATE" in AUTHORITY.key
    assert "PRIVATE" not in repr(AUTHORITY)
