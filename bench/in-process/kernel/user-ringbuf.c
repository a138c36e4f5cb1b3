// SPDX-License-Identifier: MIT
/*
 * user-ringbuf SIZE SAMPLES: fills the kernel's user ring buffer through libbpf (reserve, memcpy, submit) and has it drained,
 * in turns. Prints nanoseconds per sample, medians of the fills: {"output":7.6,"drain":51.2}. Fails when a sample is
 * missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "user-ringbuf.skel.h"

struct drain_call {
	__s64 drained;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

int main(int argc, char **argv)
{
	unsigned size = argc > 1 ? atoi(argv[1]) : 64;
	unsigned long samples = argc > 2 ? atol(argv[2]) : 1000000;
	static char payload[65536];
	struct drain_call call = {};
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &call, .ctx_size_in = sizeof(call));
	double *output_ns, *drain_ns;
	unsigned long stored = 0, drained = 0;
	unsigned fills = 0;

	if (size > sizeof(payload))
		return 2;
	memset(payload, 7, sizeof(payload));
	output_ns = calloc(samples, sizeof(*output_ns));
	drain_ns = calloc(samples, sizeof(*drain_ns));
	if (!output_ns || !drain_ns)
		return 1;
	struct user_ringbuf_bpf *skel = user_ringbuf_bpf__open_and_load();
	if (!skel)
		return 1;
	struct user_ring_buffer *ring = user_ring_buffer__new(bpf_map__fd(skel->maps.ring), NULL);
	if (!ring)
		return 1;
	while (stored < samples) {
		unsigned long before = stored;
		double begin = now_ns();
		void *sample;

		/* Until it is full. 256 KiB hold less than the 131072 samples at which a drain would end. */
		while ((sample = user_ring_buffer__reserve(ring, size))) {
			memcpy(sample, payload, size);
			user_ring_buffer__submit(ring, sample);
			stored++;
		}
		double filled = now_ns();

		if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.drain), &run))
			return 1;
		drain_ns[fills] = (now_ns() - filled) / (stored - before);
		output_ns[fills++] = (filled - begin) / (stored - before);
		if (call.drained < 0)
			return 1;
		drained += call.drained;
	}
	if (drained != stored) {
		fprintf(stderr, "%lu samples stored, %lu drained\n", stored, drained);
		return 1;
	}
	printf("{\"output\":%.2f,\"drain\":%.2f}\n", median(output_ns, fills), median(drain_ns, fills));
	return 0;
}
