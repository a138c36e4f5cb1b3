#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds user-ringbuf into build/, when a source is newer than what is there.
# Exit status: 0 it is there; 1 a source does not compile; 3 this machine cannot build or run it, with the reason.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$here/build
name=user-ringbuf

unavailable() {
  echo "$*" >&2
  exit 3
}

# bpftool is in /usr/sbin, which not every shell has in its PATH.
PATH=$PATH:/usr/sbin:/sbin

[ "$(uname -s)" = Linux ] || unavailable "it takes a Linux kernel, this is $(uname -s)"
[ "$(id -u)" = 0 ] || unavailable "it takes root: only root may load BPF programs"
[ -r /sys/kernel/btf/vmlinux ] || unavailable "this kernel has no BTF"
for command in gcc clang bpftool; do
  command -v $command >/dev/null || unavailable "$command is missing: run bench/setup"
done
echo '#include <bpf/libbpf.h>' | gcc -E -x c - >/dev/null 2>&1 || unavailable "libbpf's headers are missing: run bench/setup"

if [ -x "$out/$name" ] && [ -z "$(find "$here" -maxdepth 1 -type f -newer "$out/$name")" ]; then
  exit 0
fi
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
# Debian keeps <asm/types.h>, which <linux/bpf.h> wants, in a folder that clang's bpf target does not look in.
clang -g -O2 -Wall -target bpf -I"/usr/include/$(gcc -print-multiarch)" -c "$here/$name.bpf.c" -o "$work/$name.bpf.o"
bpftool gen skeleton "$work/$name.bpf.o" name user_ringbuf_bpf >"$work/$name.skel.h"
gcc -O2 -Wall -Wextra -Wno-sign-compare -I"$work" "$here/$name.c" -o "$work/$name" -lbpf
mv "$work/$name" "$out/$name"
