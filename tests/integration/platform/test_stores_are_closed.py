"""What a local user can reach of the stores without a key: nothing."""

import httpx
import psycopg2
import pytest

from ai_how.embedded.layout import MARK, Layout
from ai_how.embedded.ports import known_ports
from ai_how.embedded.preparation import NOBODY
from ai_how.embedded.readiness import StoreIgnoresConditions, s3_conditions
from resources.process import marked_processes


@pytest.fixture(scope="module")
def stores(components):
    return components("postgresql", "seaweedfs")


@pytest.fixture
def ports(stores):
    return known_ports(Layout(stores.state))


def test_only_the_s3_port_answers_and_it_asks_for_a_key(stores, ports):
    for name, port in ports.items():
        if not name.startswith("seaweedfs-"):
            continue
        for scheme in ("http", "https"):
            with httpx.Client(verify=False, timeout=10, trust_env=False) as client:
                for path in ("/dir/assign", "/models/models/x", "/1,01", "/submit"):
                    try:
                        answer = client.post(
                            f"{scheme}://127.0.0.1:{port}{path}", files={"file": b"planted"}
                        )
                    except httpx.HTTPError:
                        continue
                    assert answer.status_code >= 400, (name, path, answer.text)


def test_grpc_ports_take_only_those_who_show_the_certificate(stores, ports):
    import grpc

    for name in [name for name in ports if name.endswith("-grpc")]:
        channel = grpc.insecure_channel(f"127.0.0.1:{ports[name]}")
        call = channel.unary_unary("/filer_pb.SeaweedFiler/ListEntries")
        with pytest.raises(grpc.RpcError) as refused:
            call(b"", timeout=5)
        assert refused.value.code() in (
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.DEADLINE_EXCEEDED,
        ), name
        channel.close()


def test_the_stores_rules_are_checked_for_real(stores):
    import json

    keys = json.loads((stores.secrets / "s3-publisher.json").read_text())
    s3_conditions(stores.addresses.s3_url, "models", keys["access_key"], keys["secret_key"])


def test_a_store_that_ignores_conditions_is_refused_with_the_reason(careless_store):
    with pytest.raises(StoreIgnoresConditions, match="If-None-Match"):
        s3_conditions(careless_store, "models", "any", "key")


@pytest.mark.parametrize(
    ("role", "database"),
    [("mlflow", "ledger"), ("dagster", "ledger"), ("ledger_writer", "mlflow")],
)
def test_a_role_connects_to_no_database_of_others(stores, role, database):
    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        connect(stores, role, database, stores.secrets / f"{role}.pgpass")


def test_a_wrong_password_is_refused(stores, tmp_path):
    passfile = tmp_path / "pgpass"
    passfile.touch(0o600)
    passfile.write_text("*:*:*:mlflow:wrong\n")
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        connect(stores, "mlflow", "mlflow", passfile)


def test_the_ledgers_writer_cannot_change_a_fact(stores):
    connection = connect(stores, "ledger_writer", "ledger", stores.secrets / "ledger_writer.pgpass")
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.role_table_grants WHERE grantee ="
            " 'ledger_writer' AND privilege_type NOT IN ('SELECT', 'INSERT')"
        )
        assert cursor.fetchall() == []
    connection.close()


def test_postgresql_never_runs_as_root(stores):
    (server,) = [
        process
        for process in marked_processes(MARK, str(stores.state))
        if "postgres" in process.name()
    ]
    assert server.net_connections(kind="inet") == []
    assert server.uids().effective in (NOBODY, server.uids().real)
    assert server.username() != "root"


def connect(stores, role, database, passfile):
    return psycopg2.connect(
        host=str(stores.addresses.postgresql_socket_dir),
        port=stores.addresses.postgresql_port,
        user=role,
        dbname=database,
        passfile=str(passfile),
        connect_timeout=10,
    )
