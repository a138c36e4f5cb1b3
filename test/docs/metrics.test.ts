import { format, resolveConfig } from 'prettier';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusalReasons } from '../../src/server/map-counters.js';
import { metricFacts, metricsReference, type MetricFacts } from '../../src/server/metrics-reference.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { committed, root } from './committed.js';

let daemon: TestDaemon;
let text: string;
let facts: MetricFacts[];

beforeAll(async () => {
  daemon = await startDaemon();
  text = metricsReference(daemon.app.daemon.events.registry);
  facts = metricFacts(daemon.app.daemon.events.registry);
});
afterAll(() => daemon.close());

describe('docs/METRICS.md', () => {
  it('is what the registry says (UPDATE_DOCS=1 writes it)', () => {
    expect(committed('docs/METRICS.md', text)).toBe(text);
  });

  it('is formatted as the formatter wants it', async () => {
    const options = await resolveConfig(root('docs/METRICS.md'));
    expect(await format(text, { ...options, parser: 'markdown' })).toBe(text);
  });

  it('names every metric and every reason', () => {
    for (const { name } of facts) expect(text).toContain(`| \`${name}\` `);
    for (const reason of Object.keys(refusalReasons)) expect(text).toContain(`| \`${reason}\` `);
  });
});

describe('the metrics', () => {
  it('have names that say what they are: counters end in _total, and units are bytes, seconds or ratio', () => {
    for (const { name, type } of facts) {
      expect(name).toMatch(/^ringbufd_[a-z]+(_[a-z]+)*$/);
      expect(name.endsWith('_total'), name).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ms|millis|milliseconds|kb|mb|percent|count|sum|bucket)(_total)?$/);
    }
  });

  it('have labels whose values are bounded', () => {
    const bounded = new Set(['map', 'handler', 'reason', 'errno', 'surface', 'quantile']);
    for (const { name, labels } of facts) for (const label of labels) expect(bounded, name).toContain(label);
  });

  it('say in words what they count', () => {
    for (const { name, help } of facts) expect(help, name).toMatch(/^[A-Z].{3,}[^.]$/);
  });

  it('cover what the contract lists', () => {
    expect(facts.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'ringbufd_samples_accepted_total',
        'ringbufd_samples_drained_total',
        'ringbufd_samples_discarded_total',
        'ringbufd_refused_total',
        'ringbufd_accepted_bytes_total',
        'ringbufd_released_bytes_total',
        'ringbufd_ring_fill_ratio',
        'ringbufd_oldest_sample_age_seconds',
        'ringbufd_drain_duration_seconds',
        'ringbufd_drains_stopped_total',
        'ringbufd_wakeups_sent_total',
        'ringbufd_wakeups_suppressed_total',
        'ringbufd_wakeups_coalesced_total',
        'ringbufd_wakeups_forced_total',
        'ringbufd_producers_connected',
        'ringbufd_event_loop_delay_seconds',
        'ringbufd_requests_refused_total',
      ]),
    );
  });
});
