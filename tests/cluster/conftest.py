"""What stands in for a cluster: Beam's portable runner Prism, a pool of workers, buckets of two clouds.

`make test-cluster` installs all of it first; what is missing here is an error, not a reason to skip.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.builders import tiny_bundle, write_pages
from transforms import storage

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / ".cluster"
BUCKET = "pages"
START_S = 60.0
JOB_S = 900.0

ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    # A pool starts its workers with the first `python` there is.
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
}


@dataclass(frozen=True)
class Cluster:
    """Where things are: the job service, pools of workers by name, and how to reach the buckets."""

    job_endpoint: str
    pools: Mapping[str, str]
    buckets: Mapping[str, str]

    def arguments(self, pool: str | None) -> list[str]:
        """Beam's options for a run on it, the user's code in a pool's workers or, for None, in the driver."""
        external = ["EXTERNAL", "--environment_config", self.pools[pool]] if pool else ["LOOPBACK"]
        endpoint = ("--runner", "PortableRunner", "--job_endpoint", self.job_endpoint)
        return [*endpoint, "--environment_type", *external]


@pytest.fixture(scope="session")
def buckets() -> Iterator[Mapping[str, str]]:
    """Starts both clouds; gives the environment variables by which they are reached."""
    gcs, s3 = free_port(), free_port()
    public = ("-public-host", f"localhost:{gcs}")
    server = [
        tool("bin/fake-gcs-server"),
        "-scheme",
        "http",
        "-port",
        str(gcs),
        "-backend",
        "memory",
        *public,
    ]
    with process(server, gcs), process([tool("moto/bin/moto_server"), "-p", str(s3)], s3):
        ask("POST", f"http://localhost:{gcs}/storage/v1/b", b'{"name": "%s"}' % BUCKET.encode())
        ask("PUT", f"http://localhost:{s3}/{BUCKET}")
        yield {
            "STORAGE_EMULATOR_HOST": f"http://localhost:{gcs}",
            "AWS_ENDPOINT_URL": f"http://localhost:{s3}",
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_REGION": "us-east-1",
        }


@pytest.fixture(scope="session")
def cluster(buckets: Mapping[str, str]) -> Iterator[Cluster]:
    """Starts Prism and two pools of workers: one of plain Python, one as in Beam's images for workers."""
    jobs, plain, image = free_port(), free_port(), free_port()
    prism = [tool("bin/prism"), f"-job_port={jobs}", "-serve_http=false", "-log_level=warn"]
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"]
    boot = f"--container_executable={tool('bin/container')}"
    here = {**buckets, "RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT": "1"}
    with (
        process(prism, jobs),
        process([*pool, f"--service_port={plain}"], plain, buckets),
        process([*pool, f"--service_port={image}", boot], image, here),
    ):
        pools = {"plain": f"localhost:{plain}", "image": f"localhost:{image}"}
        yield Cluster(f"localhost:{jobs}", pools, buckets)


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle and, in `in`, twenty pages and a file that is none."""
    folder = tmp_path_factory.mktemp("cluster")
    tiny_bundle(folder / "bundle")
    write_pages(folder / "in", 20)
    (folder / "in" / "broken.png").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="session")
def expected(pages: Path) -> list[str]:
    """The rows of a run on this machine."""
    run_job(pages, "--input", str(pages / "in"), "--output", str(pages / "expected"))
    found = rows(str(pages / "expected"))
    assert len(found) == 21
    return found


@pytest.fixture(params=["local", "gs", "s3"])
def place(
    request: pytest.FixtureRequest, buckets: Mapping[str, str], tmp_path: Path, pages: Path
) -> Iterator[str]:
    """A folder of its own on each kind of storage, with the pages in `in` and the bundle in `bundle`."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in buckets.items():
            patch.setenv(name, value)
        roots = {"local": str(tmp_path)}
        root = roots.get(request.param, f"{request.param}://{BUCKET}/{tmp_path.name}")
        for path in (*(pages / "in").iterdir(), *(pages / "bundle").iterdir()):
            storage.write_atomic(storage.join(root, path.parent.name, path.name), path.read_bytes())
        yield root


@pytest.fixture
def job(cluster: Cluster, pages: Path) -> Callable[..., str]:
    """Runs the command with the buckets in reach; returns what it printed."""

    def run(*arguments: str) -> str:
        return run_job(pages, *arguments, environment=cluster.buckets)

    return run


def command(pages: Path, *arguments: str) -> list[str]:
    bundle = [] if "--bundle" in arguments else ["--bundle", str(pages / "bundle")]
    return [sys.executable, "-m", "pipeline", *arguments, *bundle]


def run_job(pages: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command(pages, *arguments),
        env={**ENVIRONMENT, **(environment or {})},
        cwd=pages,
        capture_output=True,
        text=True,
        timeout=JOB_S,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def rows(output: str) -> list[str]:
    """All rows of both kinds, by the files' names, without what differs from place to place."""
    found = []
    for kind in ("pages", "errors"):
        for source in storage.list_files(storage.join(output, kind) + "/"):
            assert "beam-temp" not in source.uri
            with storage.open_file(source.uri) as file:
                table = pq.read_table(file).to_pylist()
            found += [comparable(kind, row) for row in table]
    return sorted(found)


def comparable(kind: str, row: dict[str, Any]) -> str:
    name = row["uri"].rpartition("/")[2]
    values = {key: value for key, value in row.items() if key not in ("uri", "etag", "run_id", "message")}
    return repr((kind, name, values))


def tool(name: str) -> str:
    path = TOOLS / name
    assert path.exists(), f"{path} is missing: run `make test-cluster`, which makes it"
    return str(path)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        port: int = found.getsockname()[1]
        return port


@contextmanager
def process(words: list[str], port: int, more: Mapping[str, str] | None = None) -> Iterator[None]:
    """Runs a server in a process group of its own, from when it listens to the end of the block."""
    folder = tempfile.TemporaryDirectory()  # Beam's worker start-up writes where it stands
    server = subprocess.Popen(
        words,
        cwd=folder.name,
        env={**ENVIRONMENT, **(more or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + START_S
        while not listens(port):
            assert server.poll() is None, f"{words[0]} ended with status {server.returncode}"
            assert time.monotonic() < end, f"{words[0]} does not listen after {START_S:.0f} s"
            time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, 9)  # a pool's workers too
        server.wait()
        folder.cleanup()


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("localhost", port)) == 0


def ask(method: str, url: str, data: bytes | None = None) -> None:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request, timeout=START_S).close()
