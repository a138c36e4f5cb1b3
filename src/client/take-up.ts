import type { OutputWindow } from './output-window.js';
import type { Uncertain } from './producer-events.js';
import type { Welcome } from './welcome.js';

/** What is known of the time before a WELCOME. */
export interface Past {
  /** The WELCOME of the connection before, `undefined` for the first. */
  before: Welcome | undefined;
  anonymous: boolean;
  /** End of the last record of any kind that was acknowledged. */
  ackedTo: bigint;
  consumerPos: bigint;
}

/** Lets a producer's window go on where the daemon says that it is, and says what cannot be known. */
export function takeUp(
  window: OutputWindow,
  welcome: Welcome,
  send: (bytes: Uint8Array) => void,
  { before, anonymous, ackedTo, consumerPos }: Past,
): { ackedTo: bigint; uncertain: Uncertain | undefined } {
  if (before === undefined) {
    window.begin(welcome, send);
    return { ackedTo: welcome.ackedPos, uncertain: undefined };
  }
  const { incarnation } = before;
  const contentKept = incarnation === welcome.incarnation;
  const nothing = { incarnation, from: consumerPos, to: consumerPos, resent: 0, failed: 0 };

  // A daemon that knows of fewer outputs than it acknowledged has forgotten, whatever else it says.
  if (contentKept && !anonymous && welcome.resumed && welcome.seq >= window.acked) {
    const failed = window.resume(welcome, send);
    return {
      ackedTo: laterOf(ackedTo, welcome.ackedPos),
      uncertain: failed === 0 ? undefined : { ...nothing, reason: 'producer-shared', failed },
    };
  }
  const resent = window.restart(welcome, contentKept, send);
  if (contentKept)
    return {
      ackedTo,
      uncertain: resent === 0 ? undefined : { ...nothing, reason: 'producer-forgotten', resent },
    };
  const to = laterOf(consumerPos, ackedTo);
  const uncertain = resent > 0 || to !== consumerPos;
  return {
    ackedTo: welcome.ackedPos,
    uncertain: uncertain ? { ...nothing, reason: 'new-incarnation', to, resent } : undefined,
  };
}

/** The later of two free-running u64 positions. */
function laterOf(a: bigint, b: bigint): bigint {
  return BigInt.asIntN(64, b - a) > 0n ? b : a;
}
