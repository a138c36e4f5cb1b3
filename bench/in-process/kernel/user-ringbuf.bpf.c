// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own drain, for comparison: a callback that reads the first 4 bytes of each sample and adds them up.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 1 << 18);
} ring SEC(".maps");

struct drain_call {
	__s64 drained;
};

static __u64 sum;

static long read_4_bytes(struct bpf_dynptr *sample, void *ctx)
{
	__u32 word = 0;

	bpf_dynptr_read(&word, sizeof(word), sample, 0, 0);
	sum += word;
	return 0;
}

SEC("syscall")
int drain(struct drain_call *call)
{
	call->drained = bpf_user_ringbuf_drain(&ring, read_4_bytes, (void *)0, 0);
	return 0;
}
