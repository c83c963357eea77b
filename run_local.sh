#!/usr/bin/env bash
# The job on this machine, from nothing but a Python: makes ./.venv, installs, runs.
#
#     ./run_local.sh                                         the pages in samples/, and a picture of what was read
#     ./run_local.sh scans/ 'gs://b/x/*.jpg' --output out    your own: paths, URIs and globs, then options
#
# Paths, URIs and globs become --input; options (--help lists them) go to the job as they are. Without --output the
# rows go to ./out. The same command again resumes, and installs nothing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
bin=$here/.venv/bin

# A word that follows `--option` is that option's value, so inputs stand before an option that takes none (--chars).
inputs=()
options=()
output=
before=
for argument in "$@"; do
    case $argument in --output=*) output=${argument#*=} ;; esac
    [ "$before" != --output ] || output=$argument
    if [[ $argument == -* || -n $before ]]; then
        options+=("$argument")
    else
        inputs+=("$argument")
    fi
    case $argument in
        -*=*) before= ;;
        -*) before=$argument ;;
        *) before= ;;
    esac
done

extras=ppocrv6,pdf
case "$*" in *gs://*) extras+=,gcp ;; esac
"$here/scripts/setup.sh" "$extras"

[ -n "$output" ] || options+=(--output out)
if [ $# -gt 0 ]; then
    exec "$bin/ppocr-beam" "${options[@]}" ${inputs[@]+--input "${inputs[@]}"}
fi

"$bin/ppocr-beam" --output out --input "$here/samples"
"$bin/python" -m pipeline.show out
