"""Rules about secrets and about who may come in. No finding shows a secret's value."""

import re
from collections.abc import Iterator

from platform_assets.spec.findings import Finding, Path, Severity
from platform_assets.spec.literal_secrets import literal_secrets
from platform_assets.spec.model.estate import ClusterName, Estate
from platform_assets.spec.model.networks import Ssh
from platform_assets.spec.rules.grounds import Grounds, Rule


def literal_secret(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """A password stands in the file itself; an error in production.

    Whoever may read the file or its history in git has it, and it cannot be changed in one place.
    """
    severity = Severity.ERROR if estate.profile == "production" else Severity.WARNING
    for path, _value in literal_secrets(estate):
        yield Finding(
            "literal-secret",
            severity,
            path,
            f"{path[-1]} stands in the file itself",
            f"write {{secret: {{env: {_variable(path)}}}}} or {{secret: {{file: PATH}}}}",
        )


def _variable(path: Path) -> str:
    words = [part for part in path[-3:] if isinstance(part, str)]
    return re.sub(r"[^A-Z0-9]+", "_", "_".join(words).upper())


def _ssh(estate: Estate) -> Iterator[tuple[ClusterName, Ssh]]:
    if estate.clusters.hpc is not None:
        yield "hpc", estate.clusters.hpc.ssh
    if estate.clusters.cloud is not None:
        yield "cloud", estate.clusters.cloud.ssh


def password_authentication(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """SSH takes passwords in production, where they will be guessed."""
    for cluster, ssh in _ssh(estate):
        if ssh.password_authentication and estate.profile == "production":
            yield Finding(
                "password-authentication",
                Severity.ERROR,
                ("clusters", cluster, "ssh", "password_authentication"),
                "SSH takes passwords, and profile is production",
                "set it to false; keys are always taken",
            )


def locked_out(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """The login name that Ansible uses is not among those that may come by SSH."""
    allowed = estate.security.allowed_ssh_users
    for cluster, ssh in _ssh(estate):
        if allowed and ssh.user not in allowed:
            yield Finding(
                "locked-out",
                Severity.ERROR,
                ("security", "allowed_ssh_users"),
                f"{ssh.user!r}, the user of clusters.{cluster}.ssh, is not among "
                f"{', '.join(allowed)}: the machines would lock Ansible out",
                f"add {ssh.user!r}, or change clusters.{cluster}.ssh.user",
            )


def unguarded_production(estate: Estate, _grounds: Grounds) -> Iterator[Finding]:
    """In production the firewall or the network policies are switched off."""
    for key in ("firewall", "network_policies"):
        if estate.profile == "production" and not getattr(estate.security, key):
            yield Finding(
                "unguarded-production",
                Severity.WARNING,
                ("security", key),
                f"{key} is false, and profile is production",
                "set it to true",
            )


SECURITY_RULES: tuple[Rule, ...] = (
    literal_secret,
    password_authentication,
    locked_out,
    unguarded_production,
)
