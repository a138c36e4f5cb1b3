import { describe, expect, it } from 'vitest';
import { RingbufdError } from '../../../src/server/errors.js';
import { webhookKind } from '../../../src/server/handlers/webhook.js';
import { makeWebhook } from './webhook-rig.js';

const PUBLIC_URL = 'https://hooks.example.org/in';

function refusalOf(config: Record<string, unknown>, allow: string[] = []): string {
  try {
    makeWebhook({ config, allow });
  } catch (error) {
    if (error instanceof RingbufdError && error.key === 'HANDLER_CONFIG') return error.detail;
    throw error;
  }
  throw new Error('the config was taken');
}

describe('the config of a webhook', () => {
  it.each([
    ['http://127.0.0.1/', 'loopback'],
    ['http://127.1/', 'loopback'],
    ['http://0x7f000001/', 'loopback'],
    ['http://2130706433/', 'loopback'],
    ['http://017700000001/', 'loopback'],
    ['http://127.0.0.1./', 'loopback'],
    ['http://①②⑦.0.0.1/', 'loopback'],
    ['http://0/', 'this network'],
    ['http://[::]/', 'unspecified'],
    ['http://[::1]/', 'loopback'],
    ['http://[::ffff:127.0.0.1]/', 'IPv4-mapped'],
    ['http://[64:ff9b::127.0.0.1]/', 'NAT64'],
    ['http://[2002:7f00:1::]/', '6to4'],
    ['http://100.64.0.1:8080/', 'carrier-grade NAT'],
    ['http://169.254.169.254/latest/meta-data', 'link-local'],
    ['http://[fe80::1]/', 'link-local'],
    ['http://[fd00:ec2::254]/', 'unique-local'],
    ['http://[ff02::1]/', 'multicast'],
    ['http://255.255.255.255/', 'reserved'],
  ])('refuses the literal address of %s (%s) at once', (url, reason) => {
    expect(refusalOf({ url })).toContain(`is refused (${reason})`);
  });

  it('takes a literal address that the operator allows', () => {
    expect(() =>
      makeWebhook({ config: { url: 'http://2130706433:9/' }, allow: ['127.0.0.1'] }),
    ).not.toThrow();
  });

  it.each([
    ['ftp://example.org/', 'the scheme ftp:'],
    ['file:///etc/passwd', 'the scheme file:'],
    ['example.org/hook', 'not a URL'],
    ['http://', 'not a URL'],
    ['https://user:hunter2hunter2@example.org/', 'user name or a password'],
    ['https://example.org/#part', 'fragment'],
    ['https://example.org/?***', 'stands for what is not shown'],
  ])('refuses the URL %s: %s', (url, reason) => {
    const detail = refusalOf({ url });
    expect(detail).toContain(reason);
    expect(detail).not.toContain('hunter2');
  });

  it.each([
    [{ format: 'xml' }, 'config.format'],
    [{ max_batch_bytes: 1023 }, 'config.max_batch_bytes'],
    [{ max_batch_bytes: 8388609 }, 'config.max_batch_bytes'],
    [{ max_batch_samples: 0 }, 'config.max_batch_samples'],
    [{ max_batch_samples: 4097 }, 'config.max_batch_samples'],
    [{ timeout_ms: 0 }, 'config.timeout_ms'],
    [{ max_attempts: 0 }, 'config.max_attempts'],
    [{ backoff_min_ms: 100, backoff_max_ms: 99 }, 'config.backoff_max_ms'],
    [{ secret: 'too short' }, 'config.secret'],
    [{ redirects: 1 }, 'config.redirects'],
    [{ headers: { 'Content-Type': 'text/plain' } }, 'config.headers.Content-Type is set by the daemon'],
    [{ headers: { Host: 'localhost' } }, 'config.headers.Host is set by the daemon'],
    [{ headers: { 'ringbuf-signature': 'x' } }, 'config.headers.ringbuf-signature is set by the daemon'],
    [{ headers: { 'a b': 'x' } }, 'config.headers has a name'],
    [{ headers: { 'x-a': 'a\r\nx-b: c' } }, 'config.headers.x-a is not'],
    [{ headers: { 'x-a': '1', 'X-A': '2' } }, 'config.headers.X-A stands there twice'],
    [{ headers: { authorization: '***' } }, 'config.headers.authorization is ***'],
  ])('refuses %j and names the key', (config, reason) => {
    expect(refusalOf({ url: PUBLIC_URL, ...config })).toContain(reason);
  });

  it('is shown without secret, header values and query', () => {
    const shown = webhookKind.publicConfig({
      url: `${PUBLIC_URL}?token=s3cr3t-query`,
      format: 'json',
      secret: 's3cr3t-signing-key',
      headers: { authorization: 'Bearer s3cr3t-header' },
    });
    expect(shown).toEqual({
      url: `${PUBLIC_URL}?***`,
      format: 'json',
      secret: '***',
      headers: { authorization: '***' },
    });
    expect(webhookKind.publicConfig({ url: PUBLIC_URL, headers: {} })).toEqual({
      url: PUBLIC_URL,
      headers: {},
    });
  });

  it('refuses what is shown when it comes back, so that no secret becomes three stars', () => {
    expect(refusalOf({ url: PUBLIC_URL, secret: '***' })).toContain('config.secret');
  });
});
