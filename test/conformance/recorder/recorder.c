/* SPDX-License-Identifier: MIT */
/*
 * Runs op scripts on the user ring buffer of the kernel it runs on. Scripts come in on stdin, one op a line; for each,
 * one JSON trace goes out on stdout, a line a trace, as soon as its script has ended. README.md in this folder describes
 * the script language and the traces.
 *
 * The producer's side (reserve, submit, discard) is libbpf's own; the consumer's side is bpf_user_ringbuf_drain(), called
 * by the BPF program in recorder.bpf.c.
 *
 * Exit status: 0 done; 1 a bad script or an unexpected failure; 2 bad usage; 3 this kernel cannot record.
 */
#define _GNU_SOURCE /* epoll_pwait2 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "recorder.h"
#include "recorder.skel.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_UNAVAILABLE = 3 };

/* How long a drain without a visible wakeup is given to show one after all; README.md has the measurement. */
#define DEFAULT_WAIT_US 200

/* A wakeup's event was there at once, came while we waited, or did not come (of drains that left the ring writable). */
struct wakeup_stats {
	uint64_t at_once, late, never;
};

/* A reservation's payload as libbpf handed it out. */
struct reservation {
	void *payload;
	int64_t id; /* counts the reservations that succeeded; -1: this one did not */
};

/* The trace being recorded. */
struct trace {
	char name[256];
	uint64_t ring_size;
	int ring_fd;
	__u32 slot;
	struct user_ring_buffer *producer;
	/* Our own view of the ring: libbpf keeps its mappings to itself. */
	uint64_t *consumer_pos;
	uint64_t *producer_pos;
	uint8_t *data; /* 2 * ring_size bytes: the kernel maps the data pages twice in a row */
	int wakeup_epoll;
	/* One for every reserve op; by_id has the indices of those that succeeded. */
	struct reservation *reserves;
	size_t *by_id;
	size_t reserve_count, id_count, reserve_capacity;
	bool has_ops;
};

/* Rings that were made ahead of need; see take_ring(). */
struct ring_group {
	int fds[GROUP_SLOTS];
	unsigned int next, count;
};

static struct recorder_bpf *bpf;
static struct ring_group ring_groups[RING_GROUPS];
static struct trace current = { .ring_fd = -1, .wakeup_epoll = -1 };
static bool recording;
static long page_size;
static long wait_us = DEFAULT_WAIT_US;
static struct wakeup_stats stats;
static uint64_t line_number;

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *format, ...)
{
	va_list args;

	fputs("recorder: ", stderr);
	if (line_number)
		fprintf(stderr, "line %" PRIu64 "%s%s: ", line_number, recording ? ", trace " : "",
			recording ? current.name : "");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

/* ---- script parsing ------------------------------------------------------------------------------------------------ */

#define MAX_WORDS 6

/* Splits a line in place. A word too many is kept in the count, so that the op's own arity check refuses it. */
static int split_words(char *line, char *words[MAX_WORDS])
{
	int count = 0;

	for (char *word = strtok(line, " \t\r\n"); word; word = strtok(NULL, " \t\r\n")) {
		if (count < MAX_WORDS)
			words[count] = word;
		count++;
	}
	return count;
}

static uint64_t parse_u64(const char *word, uint64_t max)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(word, &end, 10);
	if (!isdigit((unsigned char)*word) || *end || errno || value > max)
		die(EXIT_FAILED, "not a number from 0 to %" PRIu64 ": %s", max, word);
	return value;
}

static int64_t parse_stop_after(const char *word)
{
	return strcmp(word, "-1") == 0 ? -1 : (int64_t)parse_u64(word, INT64_MAX);
}

static uint8_t parse_nibble(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'a' && digit <= 'f')
		return digit - 'a' + 10;
	die(EXIT_FAILED, "not a lower-case hex digit: %c", digit);
}

/* ---- the ring under test ------------------------------------------------------------------------------------------- */

/*
 * Every trace needs a new ring: a used one's consumer position cannot be set back. Putting one ring into the map of maps
 * makes the kernel wait for an RCU grace period, 9 to 23 ms; a batch waits once for all its rings. So rings are made
 * and installed a group at a time, the bigger the fewer.
 */
static void refill_group(struct ring_group *group, unsigned int first_slot, uint64_t ring_size)
{
	const uint64_t bytes_ahead = 4 << 20;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t fitting = bytes_ahead / ring_size;
	__u32 wanted = fitting < 1 ? 1 : fitting > GROUP_SLOTS ? GROUP_SLOTS : fitting;
	__u32 slots[GROUP_SLOTS];

	for (__u32 i = 0; i < wanted; i++) {
		slots[i] = first_slot + i;
		group->fds[i] = bpf_map_create(BPF_MAP_TYPE_USER_RINGBUF, "ring", 0, 0, ring_size, NULL);
		if (group->fds[i] < 0)
			die(EXIT_FAILED, "cannot make a ring of %" PRIu64 " bytes: %s", ring_size, strerror(errno));
	}
	group->next = 0;
	group->count = wanted;
	if (bpf_map_update_batch(bpf_map__fd(bpf->maps.ring_slots), slots, group->fds, &wanted, &opts))
		die(EXIT_FAILED, "cannot install rings: %s", strerror(errno));
}

static void take_ring(struct trace *trace)
{
	unsigned int index = 0;
	struct ring_group *group;

	while (index < RING_GROUPS && (uint64_t)page_size << index != trace->ring_size)
		index++;
	if (index == RING_GROUPS)
		die(EXIT_FAILED, "a ring cannot have %" PRIu64 " bytes", trace->ring_size);
	group = &ring_groups[index];
	if (group->next == group->count)
		refill_group(group, index * GROUP_SLOTS, trace->ring_size);
	trace->slot = index * GROUP_SLOTS + group->next;
	trace->ring_fd = group->fds[group->next++];
}

static void *map_ring(const struct trace *trace, size_t length, int protection, off_t offset)
{
	void *address = mmap(NULL, length, protection, MAP_SHARED, trace->ring_fd, offset);

	if (address == MAP_FAILED)
		die(EXIT_FAILED, "cannot map the ring: %s", strerror(errno));
	return address;
}

static bool is_writable(const struct trace *trace)
{
	struct pollfd ring = { .fd = trace->ring_fd, .events = POLLOUT };

	return poll(&ring, 1, 0) > 0;
}

static bool take_wakeup_event(const struct trace *trace, long timeout_us)
{
	struct timespec timeout = { .tv_sec = timeout_us / 1000000, .tv_nsec = timeout_us % 1000000 * 1000 };
	struct epoll_event event;
	int count;

	do
		count = epoll_pwait2(trace->wakeup_epoll, &event, 1, &timeout, NULL);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		die(EXIT_FAILED, "epoll_pwait2: %s", strerror(errno));
	return count > 0;
}

/*
 * Whether an edge-triggered epoll saw the drain that just ended wake its waiters.
 *
 * The kernel wakes from an irq_work, an interrupt that this CPU sends to itself and takes before it returns from the
 * system call, so the event is there at once; the wait is for a machine where that does not hold. While the ring is not
 * writable epoll drops the event, so there is nothing to wait for (asking once still clears it away).
 */
static bool saw_wakeup(const struct trace *trace, bool writable)
{
	bool seen = take_wakeup_event(trace, 0);

	if (seen) {
		stats.at_once++;
	} else if (writable) {
		seen = wait_us > 0 && take_wakeup_event(trace, wait_us);
		if (seen)
			stats.late++;
		else
			stats.never++;
	}
	return seen;
}

static void open_ring(struct trace *trace)
{
	struct epoll_event wakeup = { .events = EPOLLOUT | EPOLLET };
	uint8_t *producer_page;

	take_ring(trace);
	trace->producer = user_ring_buffer__new(trace->ring_fd, NULL);
	if (!trace->producer)
		die(EXIT_FAILED, "user_ring_buffer__new: %s", strerror(errno));
	trace->consumer_pos = map_ring(trace, page_size, PROT_READ, 0);
	producer_page = map_ring(trace, page_size + 2 * trace->ring_size, PROT_READ | PROT_WRITE, page_size);
	trace->producer_pos = (uint64_t *)producer_page;
	trace->data = producer_page + page_size;

	trace->wakeup_epoll = epoll_create1(0);
	if (trace->wakeup_epoll < 0 || epoll_ctl(trace->wakeup_epoll, EPOLL_CTL_ADD, trace->ring_fd, &wakeup))
		die(EXIT_FAILED, "cannot watch the ring: %s", strerror(errno));
	take_wakeup_event(trace, 0); /* a new ring counts as an edge */
}

static void close_ring(struct trace *trace)
{
	munmap(trace->consumer_pos, page_size);
	munmap(trace->producer_pos, page_size + 2 * trace->ring_size);
	close(trace->wakeup_epoll);
	user_ring_buffer__free(trace->producer);
	close(trace->ring_fd); /* the slot keeps the ring until it is refilled */
}

/* ---- traces -------------------------------------------------------------------------------------------------------- */

static void begin_trace(const char *name, const char *ring_size)
{
	for (const char *c = name; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			die(EXIT_FAILED, "a trace's name may hold letters, digits and -_. only: %s", name);
	if (strlen(name) >= sizeof(current.name))
		die(EXIT_FAILED, "a trace's name may have %zu bytes", sizeof(current.name) - 1);
	strcpy(current.name, name);
	current.ring_size = parse_u64(ring_size, UINT32_MAX);
	current.reserve_count = current.id_count = 0;
	current.has_ops = false;
	open_ring(&current);
	recording = true;
	printf("{\"name\":\"%s\",\"max_entries\":%" PRIu64 ",\"ops\":[", name, current.ring_size);
}

static void end_trace(void)
{
	if (!recording)
		return;
	puts("]}");
	if (fflush(stdout))
		die(EXIT_FAILED, "cannot write: %s", strerror(errno));
	close_ring(&current);
	recording = false;
}

static void begin_op(struct trace *trace, const char *name)
{
	printf("%s{\"op\":\"%s\"", trace->has_ops ? "," : "", name);
	trace->has_ops = true;
}

/* Every op ends with the positions right after it. */
static void end_op(const struct trace *trace)
{
	printf(",\"cons\":\"%" PRIu64 "\",\"prod\":\"%" PRIu64 "\"}",
	       __atomic_load_n(trace->consumer_pos, __ATOMIC_ACQUIRE),
	       __atomic_load_n(trace->producer_pos, __ATOMIC_ACQUIRE));
}

static const char *json_bool(bool value)
{
	return value ? "true" : "false";
}

/* ---- ops: words[0] is the op's name -------------------------------------------------------------------------------- */

static void remember_reserve(struct trace *trace, void *payload)
{
	struct reservation *reservation;

	if (trace->reserve_count == trace->reserve_capacity) {
		trace->reserve_capacity = trace->reserve_capacity ? 2 * trace->reserve_capacity : 256;
		trace->reserves = realloc(trace->reserves, trace->reserve_capacity * sizeof(*trace->reserves));
		trace->by_id = realloc(trace->by_id, trace->reserve_capacity * sizeof(*trace->by_id));
		if (!trace->reserves || !trace->by_id)
			die(EXIT_FAILED, "out of memory");
	}
	reservation = &trace->reserves[trace->reserve_count];
	reservation->payload = payload;
	reservation->id = -1;
	if (payload) {
		reservation->id = trace->id_count;
		trace->by_id[trace->id_count++] = trace->reserve_count;
	}
	trace->reserve_count++;
}

static void run_reserve(struct trace *trace, char *words[])
{
	uint32_t size = parse_u64(words[1], UINT32_MAX);
	uint64_t id = trace->id_count;
	void *payload;

	errno = 0;
	payload = user_ring_buffer__reserve(trace->producer, size);
	begin_op(trace, words[0]);
	printf(",\"size\":%" PRIu32 ",\"ret\":%d", size, payload ? 0 : -errno);
	remember_reserve(trace, payload);
	if (payload) {
		printf(",\"id\":%" PRIu64, id);
		memset(payload, (id * 37 + 11) & 0xff, size);
	}
	end_op(trace);
}

/*
 * The reservation that `submit` or `discard` means: "N" the N-th that succeeded, "@N" that of the N-th reserve op, which
 * may have failed (NULL: the op is left out of the trace), so that a script's author need not know which succeed.
 */
static struct reservation *find_reservation(struct trace *trace, const char *word)
{
	struct reservation *reservation;

	if (*word != '@') {
		uint64_t id = parse_u64(word, UINT64_MAX);

		if (id >= trace->id_count)
			die(EXIT_FAILED, "no reservation has the id %s", word);
		return &trace->reserves[trace->by_id[id]];
	}
	uint64_t index = parse_u64(word + 1, UINT64_MAX);

	if (index >= trace->reserve_count)
		die(EXIT_FAILED, "no reserve op %s", word);
	reservation = &trace->reserves[index];
	return reservation->id < 0 ? NULL : reservation;
}

static void run_commit(struct trace *trace, char *words[],
		       void (*commit)(struct user_ring_buffer *producer, void *payload))
{
	struct reservation *reservation = find_reservation(trace, words[1]);

	if (!reservation)
		return;
	commit(trace->producer, reservation->payload);
	begin_op(trace, words[0]);
	printf(",\"id\":%" PRId64, reservation->id);
	end_op(trace);
}

static void run_submit(struct trace *trace, char *words[])
{
	run_commit(trace, words, user_ring_buffer__submit);
}

static void run_discard(struct trace *trace, char *words[])
{
	run_commit(trace, words, user_ring_buffer__discard);
}

static void run_write(struct trace *trace, char *words[])
{
	uint64_t end = 2 * trace->ring_size;
	uint64_t offset = parse_u64(words[1], end);
	const char *hex = words[2];
	size_t digits = strlen(hex);

	if (digits % 2 || digits / 2 > end - offset)
		die(EXIT_FAILED, "half a byte, or bytes beyond the second mapping");
	for (size_t i = 0; i < digits; i += 2)
		trace->data[offset + i / 2] = parse_nibble(hex[i]) << 4 | parse_nibble(hex[i + 1]);
	begin_op(trace, words[0]);
	printf(",\"off\":%" PRIu64 ",\"hex\":\"%s\"", offset, hex);
	end_op(trace);
}

static void run_prodpos(struct trace *trace, char *words[])
{
	uint64_t position = parse_u64(words[1], UINT64_MAX);

	__atomic_store_n(trace->producer_pos, position, __ATOMIC_RELEASE);
	begin_op(trace, words[0]);
	printf(",\"pos\":\"%" PRIu64 "\"", position);
	end_op(trace);
}

static void print_samples(uint64_t count)
{
	for (uint64_t i = 0; i < count && i < SEEN_MAX; i++) {
		const struct seen_sample *sample = &bpf->bss->seen[i];

		printf("%s[%u,\"", i ? "," : "", sample->length);
		for (__u32 k = 0; k < sample->length && k < SEEN_HEAD; k++)
			printf("%02x", sample->head[k]);
		fputs("\"]", stdout);
	}
}

static void drain_ring(struct trace *trace, char *words[], bool nested)
{
	struct drain_request *request = &bpf->bss->request;
	struct drain_result *result = &bpf->bss->result;
	struct bpf_program *program = nested ? bpf->progs.drain_nested : bpf->progs.drain;
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	bool writable, woken;

	*request = (struct drain_request){
		.slot = trace->slot,
		.flags = parse_u64(words[1], UINT64_MAX),
		.stop_after = parse_stop_after(words[2]),
		.nested_flags = nested && words[3] ? parse_u64(words[3], UINT64_MAX) : 0,
	};
	*result = (struct drain_result){ 0 };
	take_wakeup_event(trace, 0); /* whatever an earlier drain's came too late for */
	if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts))
		die(EXIT_FAILED, "cannot run the BPF program: %s", strerror(errno));
	if (opts.retval || result->read_errors)
		die(EXIT_FAILED, "the BPF program could not %s", opts.retval ? "find the ring" : "read a sample");
	writable = is_writable(trace);
	woken = saw_wakeup(trace, writable);

	begin_op(trace, words[0]);
	printf(",\"flags\":%" PRIu64 ",\"stop_after\":%" PRId64 ",\"ret\":%" PRId64 ",\"calls\":%" PRIu64,
	       (uint64_t)request->flags, (int64_t)request->stop_after, (int64_t)result->ret, (uint64_t)result->calls);
	if (nested && request->nested_flags)
		printf(",\"nested_flags\":%" PRIu64, (uint64_t)request->nested_flags);
	if (nested)
		printf(",\"nested_ret\":%" PRId64, (int64_t)result->nested_ret);
	printf(",\"wakeup_event\":%s,\"writable\":%s,\"samples\":[", json_bool(woken), json_bool(writable));
	if (!nested)
		print_samples(result->calls);
	putchar(']');
	end_op(trace);
}

static void run_drain(struct trace *trace, char *words[])
{
	drain_ring(trace, words, false);
}

static void run_drain_nested(struct trace *trace, char *words[])
{
	drain_ring(trace, words, true);
}

static void run_poll(struct trace *trace, char *words[])
{
	begin_op(trace, words[0]);
	printf(",\"writable\":%s", json_bool(is_writable(trace)));
	end_op(trace);
}

/* Makes a ring of its own and closes it again: only the result counts. */
static void run_create(struct trace *trace, char *words[])
{
	uint32_t key_size = parse_u64(words[1], UINT32_MAX);
	uint32_t value_size = parse_u64(words[2], UINT32_MAX);
	uint32_t max_entries = parse_u64(words[3], UINT32_MAX);
	uint32_t map_flags = parse_u64(words[4], UINT32_MAX);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = map_flags);
	int fd = bpf_map_create(BPF_MAP_TYPE_USER_RINGBUF, "created", key_size, value_size, max_entries, &opts);

	begin_op(trace, words[0]);
	printf(",\"key_size\":%" PRIu32 ",\"value_size\":%" PRIu32 ",\"max_entries\":%" PRIu32 ",\"map_flags\":%" PRIu32
	       ",\"ret\":%d",
	       key_size, value_size, max_entries, map_flags, fd < 0 ? -errno : 0);
	end_op(trace);
	if (fd >= 0)
		close(fd);
}

static const struct op {
	const char *name;
	int least, most; /* words, its own name included; NULL stands for those left out */
	void (*run)(struct trace *trace, char *words[]);
} ops[] = {
	{ "reserve", 2, 2, run_reserve },
	{ "submit", 2, 2, run_submit },
	{ "discard", 2, 2, run_discard },
	{ "write", 3, 3, run_write },
	{ "prodpos", 2, 2, run_prodpos },
	{ "drain", 3, 3, run_drain },
	{ "drain_nested", 3, 4, run_drain_nested },
	{ "poll", 1, 1, run_poll },
	{ "create", 5, 5, run_create },
};

static void run_line(char *line)
{
	char *words[MAX_WORDS] = { NULL };
	int count = split_words(line, words);

	if (count == 0 || words[0][0] == '#')
		return;
	if (strcmp(words[0], "trace") == 0 && count == 3) {
		end_trace();
		begin_trace(words[1], words[2]);
		return;
	}
	if (!recording)
		die(EXIT_FAILED, "a script begins with: trace NAME MAX_ENTRIES");
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(words[0], ops[i].name) == 0 && count >= ops[i].least &&
		    count <= ops[i].most) {
			ops[i].run(&current, words);
			return;
		}
	}
	die(EXIT_FAILED, "no such op, or not with %d arguments: %s", count - 1, words[0]);
}

/* ---- program ------------------------------------------------------------------------------------------------------- */

static int drop_message(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0;
}

static void load_program(void)
{
	libbpf_set_print(drop_message); /* the one line below says what a user needs to know */
	page_size = sysconf(_SC_PAGESIZE);
	if (page_size != 4096)
		die(EXIT_UNAVAILABLE, "traces are of rings with pages of 4096 bytes; this kernel's have %ld", page_size);
	bpf = recorder_bpf__open_and_load();
	if (!bpf)
		die(EXIT_UNAVAILABLE,
		    "this kernel does not load the BPF program (%s): it takes root, Linux 6.1 or newer, CONFIG_BPF_SYSCALL "
		    "and BTF (/sys/kernel/btf/vmlinux)",
		    strerror(errno));
}

int main(int argc, char *argv[])
{
	static const char usage[] = "usage: recorder [--check] [--stats] [--wait-us N] < SCRIPTS > TRACES\n";
	bool check_only = false, print_stats = false;
	char *line = NULL;
	size_t capacity = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--check") == 0) {
			check_only = true;
		} else if (strcmp(argv[i], "--stats") == 0) {
			print_stats = true;
		} else if (strcmp(argv[i], "--wait-us") == 0 && i + 1 < argc) {
			wait_us = (long)parse_u64(argv[++i], 10 * 1000 * 1000);
		} else {
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	load_program();
	if (check_only)
		return 0;
	while (getline(&line, &capacity, stdin) >= 0) {
		line_number++;
		run_line(line);
	}
	if (ferror(stdin))
		die(EXIT_FAILED, "cannot read: %s", strerror(errno));
	end_trace();
	if (print_stats)
		fprintf(stderr, "wakeup events: %" PRIu64 " at once, %" PRIu64 " late, %" PRIu64 " not within %ld us\n",
			stats.at_once, stats.late, stats.never, wait_us);
	free(line);
	free(current.reserves);
	free(current.by_id);
	recorder_bpf__destroy(bpf);
	return 0;
}
