import { describe, expect, it } from 'vitest';
import { checkRun } from '../../../src/ring/index.js';
import { reportLedger, reportLine } from '../../../src/server/ledger/ledger-report.js';
import { buildRun, SampleHash } from '../../../src/wire/index.js';
import { drain, useWorkerRig } from '../handlers/worker-rig.js';

const rig = useWorkerRig();

describe('the ledger of a map that a thread drains', () => {
  it('has every sample, also those written over before anybody looked', async () => {
    const { map } = rig.maps.create('t', { maxEntries: 4096, ledger: 'hash' });
    const file = rig.module('export default () => 0;');
    await map.putHandler('h', { kind: 'module', config: { file }, trigger: { mode: 'manual' } });
    const sent = { a: new SampleHash(), b: new SampleHash() };
    let number = 0;
    const storeAsMuchAsFits = (): void => {
      for (;;) {
        const producer = number % 3 === 0 ? 'a' : 'b';
        const sample = new TextEncoder().encode(`sample ${number}`.padEnd(8 + (number % 50), '.'));
        const run = buildRun([sample]);
        if (run.length > map.ring.free) return;
        map.intake.store(run, checkRun(new DataView(run.buffer), 4096), map.ledger.lineOf(producer));
        sent[producer].add(sample);
        number++;
      }
    };
    storeAsMuchAsFits();
    for (let round = 0; round < 20; round++) {
      let ended = false;
      const drained = drain(map).then(() => (ended = true));
      // The thread releases while this one writes over what it has released.
      while (!ended) {
        storeAsMuchAsFits();
        await new Promise((done) => setImmediate(done));
      }
      await drained;
    }
    await drain(map);
    while (map.ring.used > 0) await drain(map);
    expect(reportLedger(map)).toMatchObject({ holds: true, counted: true, buffered: { samples: 0 } });
    for (const [producer, hash] of Object.entries(sent))
      expect(reportLine(map.ledger.lineOf(producer), true)).toMatchObject({
        drained: { samples: hash.records },
        hash: { accepted: hash.digest(), drained: hash.digest(), complete: true },
      });
  });
});
