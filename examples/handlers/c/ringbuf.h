/*
 * What a handler in C is written against: docs/HANDLERS.md, "wasm".
 *
 * A module exports its memory, and the three functions below that are marked RINGBUF_EXPORT. It may call the four that
 * are marked RINGBUF_IMPORT, and nothing else of the world.
 */
#ifndef RINGBUF_H
#define RINGBUF_H

#include <stdint.h>

#define RINGBUF_EXPORT(name) __attribute__((export_name(#name))) name
#define RINGBUF_IMPORT(name) __attribute__((import_module("ringbuf"), import_name(#name))) ringbuf_##name

/* Answers of on_sample. */
#define RINGBUF_GO_ON 0
#define RINGBUF_STOP 1

/* Levels of ringbuf_log. */
enum { RINGBUF_TRACE, RINGBUF_DEBUG, RINGBUF_INFO, RINGBUF_WARN, RINGBUF_ERROR };

/* Where the next sample is put, and how many bytes fit there. Asked once, when the module is loaded. */
void *RINGBUF_EXPORT(sample_buffer)(void);
uint32_t RINGBUF_EXPORT(sample_buffer_size)(void);

/* One sample. RINGBUF_GO_ON or RINGBUF_STOP; anything else fails the drain, and the sample stays in the ring. */
int32_t RINGBUF_EXPORT(on_sample)(const char *sample, uint32_t len);

/* A line in the daemon's log. Up to 1024 bytes, and 100 lines a drain. */
void RINGBUF_IMPORT(log)(int32_t level, const char *text, uint32_t len);

/* Puts a sample into a map that config.emit names. 0, or a negative errno: -28 (ENOSPC) when the drain's credit is used up. */
int32_t RINGBUF_IMPORT(emit)(const char *map, uint32_t map_len, const void *sample, uint32_t len);

/* Nanoseconds of a clock that only goes forward. */
int64_t RINGBUF_IMPORT(now_ns)(void);

/* Copies the ctx of the drain call (JSON text) and returns its whole length, which may be more than fits into `size`. */
int32_t RINGBUF_IMPORT(ctx)(char *buffer, uint32_t size);

/* Where the record of the sample at hand starts. With the incarnation of the map it names the sample for good: a sample
   that comes again, after a failure or a crash, has the same. */
uint64_t RINGBUF_IMPORT(position)(void);

/* Copies the incarnation of the map and returns its whole length, as ctx does. */
int32_t RINGBUF_IMPORT(incarnation)(char *buffer, uint32_t size);

#endif
