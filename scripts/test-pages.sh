#!/bin/sh
# The pages as people meet them: in the real window under a display of its own, and in a browser
# against `quartet serve`. Needs the programs built (make build-all).
set -eu
cd "$(dirname "$0")/../tests/ui"
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci
fi
# `bench` measures instead of testing. Tests go one after the other: they share two cores with a model.
if [ "${1:-}" = bench ]; then
    set -- node bench.mjs
else
    [ $# -gt 0 ] || set -- ./*.test.mjs
    set -- node --test --test-reporter=spec --test-concurrency=1 "$@"
fi
if [ "$(uname -s)" = Linux ]; then
    exec xvfb-run --auto-servernum --server-args='-screen 0 1400x900x24' "$@"
fi
exec "$@"
