/**
 * `npm run power-loss -- [--cuts N] [--seed S]`: stops a simulated machine at N or more points of random workloads, see
 * test/support/power-loss.ts. Exit code 1 at the first finding.
 */
import { parseArgs } from 'node:util';
import { simulate, type Fault } from '../../support/power-loss.js';

const { values } = parseArgs({
  options: { cuts: { type: 'string', default: '10000' }, seed: { type: 'string', default: '20261124' } },
});
const wanted = Number(values.cuts);
interface Kind {
  readonly durability: 'written' | 'synced';
  readonly fault: Fault;
  readonly isInLoop?: boolean;
  readonly share: number;
}

const runs: readonly Kind[] = [
  { durability: 'synced', fault: 'power', share: 1 },
  { durability: 'synced', fault: 'kill', share: 0.2 },
  { durability: 'written', fault: 'kill', share: 0.2 },
  { durability: 'written', fault: 'kill', isInLoop: true, share: 0.2 },
  { durability: 'written', fault: 'power', share: 0.1 },
  { durability: 'written', fault: 'power', isInLoop: true, share: 0.1 },
];
for (const { durability, fault, isInLoop = false, share } of runs) {
  const total = { cuts: 0, recoveries: 0, ahead: 0, overlapping: 0, workloads: 0 };
  const startedMs = performance.now();
  for (let seed = Number(values.seed); total.cuts < wanted * share; seed++) {
    const report = await simulate({ seed, durability, fault, isInLoop, steps: 80, restarts: 3, subsets: 8 });
    total.cuts += report.cuts;
    total.recoveries += report.recoveries;
    total.ahead += report.ahead;
    total.overlapping += report.overlapping;
    total.workloads++;
  }
  console.log(
    `${durability}, ${fault}${isInLoop ? ', in the event loop' : ''}: ${total.workloads} workloads, ${total.cuts} cut points (${total.overlapping} with several writes in flight), ${total.recoveries} recoveries ` +
      `(${total.ahead} found the commit under way complete), ` +
      `${durability === 'written' && fault === 'power' ? '' : 'nothing acknowledged lost, '}nothing forged, ` +
      `${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
  );
}
