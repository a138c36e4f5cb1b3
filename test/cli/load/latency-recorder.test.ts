import { describe, expect, it } from 'vitest';
import { LatencyRecorder } from '../../../src/cli/load/latency-recorder.js';

describe('LatencyRecorder', () => {
  it('counts samples, not frames', () => {
    const recorder = new LatencyRecorder();
    recorder.record(1, 99);
    recorder.record(100, 1);
    const { count, p50, p99, max, mean } = recorder.summary()!;
    expect(count).toBe(100);
    expect(p50).toBeCloseTo(1, 2);
    expect(p99).toBeCloseTo(1, 2);
    expect(max).toBeCloseTo(100, 0);
    expect(mean).toBeCloseTo(1.99, 1);
  });

  it('says nothing of nothing', () => {
    const recorder = new LatencyRecorder();
    expect(recorder.summary()).toBeUndefined();
    expect(recorder.takeInterval()).toBeUndefined();
    expect(recorder.curve()).toEqual([]);
  });

  it('keeps intervals apart and the whole together', () => {
    const recorder = new LatencyRecorder();
    recorder.record(5, 1);
    expect(recorder.takeInterval()?.count).toBe(1);
    expect(recorder.takeInterval()).toBeUndefined();
    recorder.record(7, 2);
    expect(recorder.takeInterval()?.count).toBe(2);
    expect(recorder.summary()?.count).toBe(3);
  });

  it('no percentile lies above the largest value', () => {
    const recorder = new LatencyRecorder();
    for (let ms = 1; ms < 3000; ms += 7.3) recorder.record(ms, 3);
    const { p99_99, max } = recorder.summary()!;
    expect(p99_99).toBeLessThanOrEqual(max);
  });

  it('a late answer stands for the requests that should have been sent while it was waited for', () => {
    const recorder = new LatencyRecorder();
    recorder.recordExpecting(100, 1, 25);
    // 100, 75, 50, 25
    expect(recorder.summary()).toMatchObject({ count: 4 });
    recorder.recordExpecting(100, 1, undefined);
    expect(recorder.summary()).toMatchObject({ count: 5 });
  });

  it('the curve rises, and goes as far out as there are samples to tell', () => {
    const recorder = new LatencyRecorder();
    for (let n = 1; n <= 1000; n++) recorder.record(n, 1);
    const curve = recorder.curve();
    expect(curve[0]?.percent).toBe(0);
    expect(curve.at(-1)?.percent).toBeCloseTo(99.9, 5);
    const values = curve.map(({ ms }) => ms);
    expect(values).toEqual([...values].sort((a, b) => a - b));
  });

  it('takes latencies of minutes', () => {
    const recorder = new LatencyRecorder();
    recorder.record(300_000, 1);
    expect(recorder.summary()?.max).toBeGreaterThan(299_000);
  });
});
