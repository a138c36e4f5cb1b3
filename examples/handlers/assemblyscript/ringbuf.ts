/* eslint-disable */
// @ts-nocheck: this is AssemblyScript. Its imports are named after this file: `ringbuf`.

/** A line in the daemon's log. Levels: 0 trace, 1 debug, 2 info, 3 warn, 4 error. Up to 1024 bytes, and 100 lines a drain. */
export declare function log(level: i32, text: usize, len: i32): void;

/** Puts a sample into a map that config.emit names. 0, or a negative errno: -28 (ENOSPC) when the drain's credit is used up. */
export declare function emit(map: usize, mapLen: i32, sample: usize, len: i32): i32;

/** Nanoseconds of a clock that only goes forward. */
export declare function now_ns(): i64;

/** Copies the ctx of the drain call (JSON text) and returns its whole length, which may be more than fits into `size`. */
export declare function ctx(buffer: usize, size: i32): i32;

/**
 * Where the record of the sample at hand starts. With the incarnation of the map it names the sample for good: a sample
 * that comes again, after a failure or a crash, has the same.
 */
export declare function position(): u64;

/** Copies the incarnation of the map and returns its whole length, as ctx does. */
export declare function incarnation(buffer: usize, size: i32): i32;
