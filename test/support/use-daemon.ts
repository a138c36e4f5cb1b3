import { afterAll, afterEach, beforeAll } from 'vitest';
import { assertConservation } from './conservation.js';
import { startDaemon, type DaemonTestOptions, type TestDaemon } from './daemon.js';
import { RawClient, type RawClientOptions } from './raw-client.js';
import { RawSocket } from './raw-socket.js';

export interface DaemonUnderTest {
  readonly daemon: TestDaemon;
  /** A map name that no other test uses, created with handlers "count" and "capture". */
  newMap(options?: { max_entries?: number; mode?: 'managed' | 'direct' }): Promise<string>;
  /** A client that is ended after the test, welcomed. */
  client(map: string, query?: string, options?: RawClientOptions): Promise<RawClient>;
  /** A client that is ended after the test, with WELCOME (if the mode has one) still to be read. */
  open(map: string, query?: string, options?: RawClientOptions): Promise<RawClient>;
  /** A bare TCP connection that is ended after the test. */
  raw(options?: { allowHalfOpen?: boolean }): Promise<RawSocket>;
}

/**
 * One daemon for the tests of a file. After each of them every client is cut off, conservation is asserted for every
 * map, and the maps are deleted.
 */
export function useDaemon(
  overrides: Record<string, unknown> = {},
  options: DaemonTestOptions = {},
): DaemonUnderTest {
  let daemon: TestDaemon;
  let cleanups: (() => void)[] = [];
  let maps = 0;

  beforeAll(async () => {
    daemon = await startDaemon(overrides, options);
  });
  afterEach(async () => {
    for (const cleanup of cleanups) cleanup();
    cleanups = [];
    try {
      await assertConservation(daemon);
    } finally {
      for (const map of [...daemon.app.daemon.maps]) await daemon.rest.call('DELETE', `/v1/maps/${map.name}`);
    }
  });
  afterAll(() => daemon.close());

  const open = async (map: string, query = '', clientOptions: RawClientOptions = {}): Promise<RawClient> => {
    const client = await RawClient.open(daemon.produceUrl(map, query), clientOptions);
    cleanups.push(() => client.terminate());
    return client;
  };
  return {
    get daemon() {
      return daemon;
    },
    async newMap(mapOptions) {
      const name = `m${++maps}`;
      await daemon.rest.createMap(name, mapOptions);
      return name;
    },
    open,
    async raw(rawOptions) {
      const socket = await RawSocket.connect(daemon.port, rawOptions);
      cleanups.push(() => socket.destroy());
      return socket;
    },
    async client(map, query, clientOptions) {
      const client = await open(map, query, clientOptions);
      await client.next();
      return client;
    },
  };
}
