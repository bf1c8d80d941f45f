"""PostgreSQL starts although nobody but us may walk to its directories, as in root's home."""

import os

from ai_how.embedded.platform import bring_up
from ai_how.embedded.shutdown import take_down
from resources.postgresql import PostgresqlServer


def test_postgresql_starts_where_others_may_not_go(installation, monkeypatch):
    one = installation()
    one.home.chmod(0o700)
    monkeypatch.setenv("AI_HOW_CONFIG", str(one.estate_file))
    prepared = bring_up(one.state, lambda _part, _what: None, only={"postgresql"})
    if os.getuid() == 0:
        assert prepared.run_as.prefix[0] == "unshare"
    else:
        assert prepared.run_as.prefix == ()
    layout = one.layout
    server = PostgresqlServer(layout.postgresql_sockets, layout.secrets / "postgres.pgpass")
    server.probe("dagster")
    assert take_down(layout) == []

    # Opened, the same cluster is taken over by the other way of running it.
    one.home.chmod(0o755)
    prepared = bring_up(one.state, lambda _part, _what: None, only={"postgresql"})
    if os.getuid() == 0:
        assert prepared.run_as.uid is not None
    server.probe("dagster")
    assert take_down(layout) == []
