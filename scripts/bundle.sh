#!/bin/sh
# Makes a .deb of the window and the terminal program, both already built (make build-all).
# AppImage needs a download at build time, which this project does not do.
set -eu
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
cli=2.12.5
extra=$(printf '{"bundle":{"linux":{"deb":{"depends":["libgomp1","libstdc++6"],"files":{"/usr/bin/quartet":"%s/release/quartet","/usr/share/quartet/models/catalog.toml":"%s/models/catalog.toml","/usr/share/quartet/models/fetch.py":"%s/models/fetch.py"}}}}}' "$target" "$PWD" "$PWD")
npm exec --yes --package "@tauri-apps/cli@$cli" -- tauri bundle --bundles deb --config "$extra"
ls -l "$target"/release/bundle/deb/*.deb
