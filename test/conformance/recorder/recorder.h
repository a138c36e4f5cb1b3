/* SPDX-License-Identifier: MIT */
/*
 * What recorder.c and recorder.bpf.c share: the layout of the BPF program's global variables, which libbpf maps into
 * the recorder's memory. A drain is: fill `request`, run the program, read `result` and `seen`. No copying system
 * calls in between, which matters for drains of up to 131072 samples.
 */
#ifndef RINGBUFD_RECORDER_H
#define RINGBUFD_RECORDER_H

/* A trace lists at most this many samples of one drain, each with at most this many bytes of its payload. */
#define SEEN_MAX 4096
#define SEEN_HEAD 16

/*
 * Rings wait in the slots of a map of maps, grouped by size: group k holds rings of 4096 << k bytes, up to the kernel's
 * largest, 2^31.
 */
#define RING_GROUPS 20
#define GROUP_SLOTS 32
#define RING_SLOTS (RING_GROUPS * GROUP_SLOTS)

struct drain_request {
	__u32 slot; /* which ring */
	__u64 flags;
	__s64 stop_after; /* -1: the callback always returns 0; k: it returns 1 from its k-th call on */
	__u64 nested_flags; /* of the drain that drain_nested's callback tries */
};

struct drain_result {
	__s64 ret;
	__u64 calls;
	__s64 nested_ret;  /* what the last drain made from inside a callback returned */
	__u64 read_errors; /* a sample's bytes could not be read: never expected, ends the recording */
};

struct seen_sample {
	__u32 length;
	__u8 head[SEEN_HEAD];
};

#endif
