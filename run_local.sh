#!/usr/bin/env bash
# The job on this machine, from nothing but a Python: makes ./.venv, installs, runs.
#
#     ./run_local.sh                                         the pages in samples/, and a picture of what was read
#     ./run_local.sh scans/ 'gs://b/x/*.jpg' --output out    your own: paths, URIs and globs, then options
#
# All arguments go to the job as they are; --help lists its options. Without --output the rows go to ./out, those of
# samples/ to ./out_samples.
# The same command again resumes, and installs nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$here/.venv/bin

extras=pdf
case "$*" in *ppocrv6* | *careful*) extras+=,ppocrv6 ;; esac
case "$*" in *gs://*) extras+=,gcp ;; esac
"$here/scripts/setup.sh" "$extras"

if [ $# -gt 0 ]; then
    case " $* " in *" --output "* | *" --output="* | *" -o "* | *" -o="*) ;; *) set -- "$@" --output out ;; esac
    exec "$bin/ppocr-beam" "$@"
fi

"$bin/ppocr-beam" "$here/samples" --output out_samples
"$bin/ppocr-beam" show out_samples
