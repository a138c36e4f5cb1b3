/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The kernel half of the recorder: two programs that drain a user ring buffer and note what their callbacks saw.
 *
 * The ring is reached through a slot of a map of maps instead of being named in the program. A named map is fixed when
 * the program is loaded, so every trace would pay for opening, verifying and compiling the object again (8 ms); with
 * slots the object is loaded once. Rings of every size fit: the kernel compares an inner map's type and flags, not its
 * max_entries. recorder.c (ring pool) says how the slots are filled.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "recorder.h"

/* GPL-compatible because the kernel lets no other program call bpf_dynptr_size(). */
char LICENSE[] SEC("license") = "Dual MIT/GPL";

struct ring_template {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, RING_SLOTS);
	__type(key, __u32);
	__array(values, struct ring_template);
} ring_slots SEC(".maps");

struct drain_request request;
struct drain_result result;
struct seen_sample seen[SEEN_MAX];

extern __u64 bpf_dynptr_size(const struct bpf_dynptr *ptr) __ksym;

static void *current_ring(void)
{
	return bpf_map_lookup_elem(&ring_slots, &request.slot);
}

/* The callback's verdict, after `result.calls` has counted this call. */
static long verdict(void)
{
	return request.stop_after >= 0 && (__s64)result.calls >= request.stop_after;
}

static long note_sample(struct bpf_dynptr *sample, void *ctx)
{
	__u64 index = result.calls;

	if (index < SEEN_MAX) {
		__u64 length = bpf_dynptr_size(sample);
		__u32 wanted = length < SEEN_HEAD ? length : SEEN_HEAD;

		seen[index].length = length;
		if (bpf_dynptr_read(seen[index].head, wanted, sample, 0, 0))
			result.read_errors++;
	}
	result.calls++;
	return verdict();
}

static long ignore_sample(struct bpf_dynptr *sample, void *ctx)
{
	return 0;
}

/* Drains the ring that is being drained: the kernel must refuse. */
static long drain_again(struct bpf_dynptr *sample, void *ctx)
{
	void *ring = current_ring();

	if (ring)
		result.nested_ret = bpf_user_ringbuf_drain(ring, ignore_sample, NULL, request.nested_flags);
	result.calls++;
	return verdict();
}

SEC("syscall")
int drain(void *ctx)
{
	void *ring = current_ring();

	if (ring)
		result.ret = bpf_user_ringbuf_drain(ring, note_sample, NULL, request.flags);
	return !ring;
}

SEC("syscall")
int drain_nested(void *ctx)
{
	void *ring = current_ring();

	if (ring)
		result.ret = bpf_user_ringbuf_drain(ring, drain_again, NULL, request.flags);
	return !ring;
}
