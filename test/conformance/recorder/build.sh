#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the recorder into build/, when a source is newer than what is there.
# Exit status: 0 there is a recorder; 1 a source does not compile; 3 this machine cannot build or run one, with the reason.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
out=$here/build
sources="recorder.h recorder.bpf.c recorder.c build.sh"

unavailable() {
  echo "recorder: $*" >&2
  exit 3
}

# bpftool is in /usr/sbin, which not every shell has in its PATH.
PATH=$PATH:/usr/sbin:/sbin

[ "$(uname -s)" = Linux ] || unavailable "it takes a Linux kernel, this is $(uname -s)"
[ "$(id -u)" = 0 ] || unavailable "it takes root: only root may load BPF programs"
[ -r /sys/kernel/btf/vmlinux ] || unavailable "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF, /sys/kernel/btf/vmlinux)"
if [ -r /proc/config.gz ] && ! zcat /proc/config.gz | grep -qx CONFIG_BPF_SYSCALL=y; then
  unavailable "this kernel has no bpf(2) (CONFIG_BPF_SYSCALL)"
fi

up_to_date() {
  [ -x "$out/recorder" ] || return 1
  for source in $sources; do
    [ ! "$here/$source" -nt "$out/recorder" ] || return 1
  done
}

if up_to_date; then
  exit 0
fi

missing=
packages=
need() { # need WHAT PACKAGE COMMAND...: names WHAT and PACKAGE when COMMAND fails
  what=$1 package=$2
  shift 2
  if ! "$@" > /dev/null 2>&1; then
    missing="$missing, $what"
    packages="$packages $package"
  fi
}
has_header() { echo "#include <$1>" | gcc -E -x c - ; }

need gcc gcc command -v gcc
need clang clang command -v clang
need bpftool bpftool bpftool version
need "libbpf's headers" libbpf-dev has_header bpf/libbpf.h
[ -z "$missing" ] || unavailable "missing ${missing#, }; on Debian: apt-get install$packages"

# Built aside and moved into place, so that two builds at once, or a broken one, leave a whole recorder or none.
mkdir -p "$out"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

# Debian keeps <asm/types.h>, which <linux/bpf.h> wants, in a folder that clang's bpf target does not look in.
clang -g -O2 -Wall -target bpf -I"/usr/include/$(gcc -print-multiarch)" -c "$here/recorder.bpf.c" -o "$work/recorder.bpf.o"
bpftool gen skeleton "$work/recorder.bpf.o" name recorder_bpf > "$work/recorder.skel.h"
gcc -O2 -Wall -Wextra -Wno-sign-compare -I"$here" -I"$work" "$here/recorder.c" -o "$work/recorder" -lbpf
mv "$work/recorder" "$out/recorder"
