#!/bin/sh
# Makes ./.venv from a bare Python and installs this checkout into it, with the extras named.
#
#     scripts/setup.sh ppocrv6,pdf
#
# Does nothing, in a few milliseconds, where that has been done and neither pyproject.toml nor constraints.txt
# has changed since. run_local.sh and the Makefile both start here. PYTHON=/path/to/python chooses the Python.
set -eu

cd "$(dirname "$0")/.."
extras=$1
venv=.venv
stamp="$venv/.installed"  # one line for each set of extras: the digest of what it was installed from
log="$venv/install.log"

fail() {
    echo "setup: $*" >&2
    exit 1
}

supported() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        supported "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of 3.10 to 3.13."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.13 python3.12 python3.11 python3.10; do
        if supported "$name"; then
            echo "$name"
            return
        fi
    done
    found=$(python3 --version 2>/dev/null || echo "none")
    fail "needs Python 3.10 to 3.13, found: $found. Install one (Debian, Ubuntu: sudo apt install python3 python3-venv;" \
        "macOS: brew install python@3.13), or name one: PYTHON=/path/to/python"
}

make_venv() {
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
        fail "Python $version comes without its venv module. Install it: sudo apt install python$version-venv"
    "$python" -m venv --clear "$venv" >/dev/null ||
        fail "cannot make $here/$venv with Python $version; is the disk full or the folder read-only?"
}

# uv resolves and unpacks several times faster than pip; where it cannot be had or cannot reach the index
# (say, one that only pip's configuration knows), pip does the same. Both compile what they install, but for this
# checkout: where Python may keep no bytecode (PYTHONDONTWRITEBYTECODE, folders of another user), each process would
# compile Beam anew, for seconds.
install() {
    python="$venv/bin/python"
    "$python" -m pip install --quiet --retries 2 --timeout 30 --disable-pip-version-check \
        --constraint constraints.txt uv || return
    "$venv/bin/uv" pip install --quiet --compile-bytecode --python "$python" --constraint constraints.txt \
        --editable ".[$extras]" ||
        "$python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[$extras]"
}

explain() {
    if grep -qiE 'name resolution|resolve host|dns error|network is unreachable|failed to establish|timed out|connection refused|tcp connect' "$log"; then
        fail "no network: the packages come from the Python package index. Connect (or set PIP_INDEX_URL to a mirror) and run this again."
    fi
    tail -n 5 "$log" >&2
    fail "installing failed; the whole story is in $here/$log"
}

here=$(pwd -P)
digest="$extras $(cat pyproject.toml constraints.txt | cksum) $here"
if grep -qxF "$digest" "$stamp" 2>/dev/null && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi
# An environment's scripts name its place: one that was moved, or whose Python went away, is made anew.
grep -qF "$here/$venv/bin" "$venv/bin/pip" 2>/dev/null && "$venv/bin/python" -c '' 2>/dev/null || make_venv
echo "Installing into $here/$venv (once; a few minutes on a slow line) ..." >&2
install >"$log" 2>&1 || explain
echo "$digest" >>"$stamp"
