// What the browser test runs inside a page: the SDK as a web application would use it.
import { connect } from '../../dist/client/index.js';

/** @param {{ url: string, token: string }} options */
async function produce({ url, token }) {
  const producer = await connect({ url, token, map: 'page', producer: 'tab-1' });
  const receipt = await producer.output(['from a page', new Uint8Array([0, 1, 2])]);
  const reservation = await producer.reserveBlocking(4, { timeoutMs: 2000 });
  await producer.submit(reservation, new TextEncoder().encode('four'));
  const { welcome } = producer;
  const { flushed } = await producer.close();
  return { accepted: receipt.accepted, map: welcome?.map, flushed };
}

/** @param {{ url: string, token: string }} options */
async function produceWithoutRights({ url, token }) {
  try {
    await connect({ url, token, map: 'page' });
    return 'connected';
  } catch (error) {
    return /** @type {{ errno?: string }} */ (error).errno;
  }
}

Object.assign(globalThis, { produce, produceWithoutRights });
