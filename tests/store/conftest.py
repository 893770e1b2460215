"""A bucket on loopback, for what a store in one must do."""

from __future__ import annotations

import pytest

from forecasting.store.store import Store

KEY, SECRET = "a-key-to-look-for", "a-secret-to-look-for"


@pytest.fixture(scope="session")
def bucket_server():
    """A server that speaks S3, on loopback; gives its address."""
    pytest.importorskip("obstore")
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(bucket_server, monkeypatch, request):
    """An empty bucket, and the environment to reach it; gives the address of a folder in it."""
    import boto3

    for name, value in {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT": bucket_server,
    }.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{abs(hash(request.node.nodeid)):x}"
    boto3.client("s3", endpoint_url=bucket_server).create_bucket(Bucket=name)
    return f"s3://{name}/some/store"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")
