from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_cloud import FakeCloud, running
from transforms.storage import gcs, http, object_store, records


@pytest.fixture(scope="module")
def server() -> Iterator[FakeCloud]:
    with running() as cloud, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", cloud.url)
        patch.setenv("AWS_ENDPOINT_URL", cloud.url)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AZURE_STORAGE_ENDPOINT", cloud.url)
        patch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
        patch.setenv("PPOCR_BEAM_NO_AUTH", "1")
        patch.setattr(records, "_FIRST_WAIT_S", 0.001)
        patch.setattr(http, "_private_hosts", True)
        for cached in (gcs._client, object_store._store, http._session):
            cached.cache_clear()
        yield cloud
        for cached in (gcs._client, object_store._store, http._session):
            cached.cache_clear()


@pytest.fixture
def cloud(server: FakeCloud) -> FakeCloud:
    server.files.clear()
    server.faults.clear()
    server.requests.clear()
    server.moved = "/web/moved"
    return server
