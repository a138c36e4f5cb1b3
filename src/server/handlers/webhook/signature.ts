import { createHmac } from 'node:crypto';

/**
 * The value of the Ringbuf-Signature header: `t=SECONDS,v1=HEX`, HEX being HMAC-SHA256 over "SECONDS.BODY".
 * The time is signed too, so that a receiver can refuse what was recorded and sent again later.
 * @param secret UTF-8 bytes of it are the key
 * @param wallMs wall time in ms
 */
export function signatureHeader(secret: string, wallMs: number, body: Uint8Array): string {
  const seconds = String(Math.floor(wallMs / 1000));
  const hex = createHmac('sha256', secret).update(`${seconds}.`).update(body).digest('hex');
  return `t=${seconds},v1=${hex}`;
}
