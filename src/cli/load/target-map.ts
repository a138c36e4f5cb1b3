import { CliError } from '../cli-io.js';
import type { LedgerAnswer } from '../verify/ledger-answer.js';
import { RestRefusal, type DaemonRest, type MapView } from './daemon-rest.js';
import type { LoadPlan } from './load-plan.js';

/** The handler that drains a map which has none that does it by itself. */
export const LOAD_HANDLER = 'ringbufd-load';

/** The map under load: found or made, with a handler that drains it by itself. */
export interface TargetMap {
  /** As it was before the run. */
  readonly before: MapView;
  readonly ledgerBefore: LedgerAnswer;
  readonly isCreated: boolean;
  /** The handler that drains by itself. */
  readonly handler: string;
  /** Whether that handler is this run's own, so that a stall may switch it off. */
  readonly isOwnHandler: boolean;
}

/**
 * Finds the map of the plan, or creates it, and sees to it that somebody drains it.
 * @throws RestRefusal what the daemon refused; CliError for a map that cannot be used
 */
export async function prepareTarget(rest: DaemonRest, plan: LoadPlan): Promise<TargetMap> {
  const found = await rest.findMap(plan.map);
  if (found?.mode === 'direct')
    throw new CliError(
      `the map ${plan.map} is direct: its one producer writes raw bytes, and nobody counts samples`,
      'Choose a managed map with --map.',
    );
  if (found === undefined)
    await rest.createMap(plan.map, { max_entries: plan.maxEntries, durability: plan.durability });
  const target = { isCreated: found === undefined };
  const auto = found === undefined ? undefined : await autoHandler(rest, plan.map, found);
  // One that a run before this one left behind is as good as a new one.
  const isOwnHandler = auto === undefined || auto === LOAD_HANDLER;
  if (isOwnHandler) await rest.putCountHandler(plan.map, LOAD_HANDLER, 'auto');
  return {
    ...target,
    before: await rest.showMap(plan.map),
    ledgerBefore: await rest.showLedger(plan.map),
    handler: auto ?? LOAD_HANDLER,
    isOwnHandler,
  };
}

/** Removes what the run created. What is gone already, or cannot be removed, is left. */
export async function removeTarget(rest: DaemonRest, plan: LoadPlan, target: TargetMap): Promise<void> {
  if (plan.keep) return;
  const remove = target.isCreated
    ? () => rest.deleteMap(plan.map)
    : () => rest.deleteHandler(plan.map, LOAD_HANDLER);
  if (target.isCreated || target.isOwnHandler) await onceNotBusy(remove);
}

/** Makes a call that a drain under way refuses, again until it is not refused. */
export async function onceNotBusy(call: () => Promise<void>, timeoutMs = 5000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      const isBusy = error instanceof RestRefusal && error.errno === 'EBUSY';
      if (!isBusy || performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function autoHandler(rest: DaemonRest, map: string, view: MapView): Promise<string | undefined> {
  for (const name of view.handlers)
    if ((await rest.showHandler(map, name)).trigger.mode === 'auto') return name;
  return undefined;
}
