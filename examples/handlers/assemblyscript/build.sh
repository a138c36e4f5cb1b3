#!/bin/sh
# Builds threshold.wasm, or the file that is named. Needs the package assemblyscript; ASC names another compiler.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# No garbage collector and no import of abort: a failed check traps, which ends the drain.
${ASC:-npx --no-install asc} "$here/threshold.ts" --runtime stub --use abort= -O3 \
  --outFile "${1:-$here/threshold.wasm}"
