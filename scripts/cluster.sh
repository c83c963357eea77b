#!/bin/sh
# Makes ./.cluster: what `make test-cluster` runs against, none of which the job itself needs.
#
#     bin/prism             Beam's portable runner in Go, of the version of the Beam that is installed
#     bin/container         what Beam's images for workers start with, there called boot
#     bin/fake-gcs-server   Google Cloud Storage on this machine
#     moto/                 S3 on this machine, in an environment of its own
#     dataflow/             this checkout with Dataflow's runner, in an environment of its own
#     flink/                Flink, of the version of the job server that FLINK_JOB_SERVER_JAR names, if it does
#
# Does nothing where all of that is there. The first time takes some minutes and 2 GB of disk.
set -eu

cd "$(dirname "$0")/.."
here=$(pwd -P)/.cluster
python=.venv/bin/python
fake_gcs=v1.56.1
moto=5.2.5

fail() {
    echo "cluster: $*" >&2
    exit 1
}

go_tool() {  # name, package, version
    stamp="$here/bin/$1.version"
    [ "$(cat "$stamp" 2>/dev/null)" = "$3" ] && [ -x "$here/bin/$1" ] && return
    command -v go >/dev/null 2>&1 || fail "needs Go to build $1: https://go.dev/dl"
    echo "Building $1 $3 ..." >&2
    GOBIN="$here/bin" go install "$2@$3" || fail "$1 could not be built"
    echo "$3" >"$stamp"
}

environment() {  # name, digest of what is wanted, requirements
    name=$1 digest=$2
    shift 2
    stamp="$here/$name/.installed"
    [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ] && return
    echo "Installing $* ..." >&2
    "$python" -m venv --clear "$here/$name"
    "$here/$name/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || fail "could not install $*"
    echo "$digest" >"$stamp"
}

mkdir -p "$here/bin"
beam=$("$python" -c 'import importlib.metadata; print(importlib.metadata.version("apache-beam"))')
go_tool prism github.com/apache/beam/sdks/v2/go/cmd/prism "v$beam"
go_tool container github.com/apache/beam/sdks/v2/python/container "v$beam"
go_tool fake-gcs-server github.com/fsouza/fake-gcs-server "$fake_gcs"
environment moto "$moto" "moto[s3,server]==$moto"
environment dataflow "$(cat pyproject.toml constraints.txt | cksum)" --constraint constraints.txt build setuptools --editable '.[dataflow,ppocrv6]'

if [ -z "${FLINK_JOB_SERVER_JAR:-}" ]; then
    echo "cluster: Flink will NOT be tested: FLINK_JOB_SERVER_JAR does not name Beam's job server" >&2
else
    version=$(basename "$FLINK_JOB_SERVER_JAR" | sed -n 's/.*flink-\([0-9.]*\)-.*/\1/p')
    [ -n "$version" ] || fail "$FLINK_JOB_SERVER_JAR does not tell the version of Flink in its name"
    environment flink "$version" "apache-flink-libraries==$version.*"
    packages=$("$here/flink/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    ln -sfn "$packages/pyflink/lib" "$here/flink/lib-flink"
fi
