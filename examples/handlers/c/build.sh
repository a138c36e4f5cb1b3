#!/bin/sh
# Builds error-filter.wasm, or the file that is named. Needs clang and wasm-ld (Debian: apt-get install clang lld).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"${CLANG:-clang}" --target=wasm32 -O2 -nostdlib -ffreestanding -Wall -Wextra -Werror \
  -Wl,--no-entry -Wl,--strip-all -Wl,-z,stack-size=8192 \
  -o "${1:-$here/error-filter.wasm}" "$here/error-filter.c"
