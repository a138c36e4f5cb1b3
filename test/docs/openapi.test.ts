import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { openapiYaml } from '../../src/api/openapi.js';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { committed } from './committed.js';

type Json = Record<string, unknown>;
interface Operation extends Json {
  operationId?: string;
  summary?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; schema?: Json; description?: string }[];
  requestBody?: { content: Record<string, { schema?: Json; example?: unknown }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: Json }> }>;
}

let daemon: TestDaemon;
let text: string;
let document: Json & {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json>; securitySchemes: Json };
  tags: { name: string }[];
};

beforeAll(async () => {
  daemon = await startDaemon();
  text = openapiYaml(daemon.app.fastify);
  document = parse(text) as typeof document;
});
afterAll(() => daemon.close());

const operations = (): { path: string; method: string; operation: Operation }[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

/** Every call of the contract that has a shape: method, path, scope, and whether it takes a body. */
const CALLS: [method: string, path: string, scope: string, body: string[]][] = [
  ['put', '/v1/maps/{map}', 'admin', ['application/json']],
  ['get', '/v1/maps', 'read', []],
  ['get', '/v1/maps/{map}', 'read', []],
  ['delete', '/v1/maps/{map}', 'admin', []],
  ['get', '/v1/maps/{map}/query', 'read', []],
  ['get', '/v1/maps/{map}/ledger', 'read', []],
  ['get', '/v1/maps/{map}/samples', 'read', []],
  [
    'post',
    '/v1/maps/{map}/samples',
    'produce',
    ['application/octet-stream', 'application/x-ndjson', 'application/vnd.ringbuf.records'],
  ],
  ['get', '/v1/maps/{map}/produce', 'produce', []],
  ['get', '/v1/maps/{map}/handlers', 'read', []],
  ['put', '/v1/maps/{map}/handlers/{handler}', 'admin', ['application/json']],
  ['get', '/v1/maps/{map}/handlers/{handler}', 'read', []],
  ['delete', '/v1/maps/{map}/handlers/{handler}', 'admin', []],
  ['put', '/v1/maps/{map}/handlers/{handler}/module', 'admin', ['application/wasm']],
  ['get', '/v1/maps/{map}/handlers/{handler}/attach', 'drain', []],
  ['post', '/v1/maps/{map}/handlers/{handler}/enable', 'admin', []],
  ['post', '/v1/maps/{map}/handlers/{handler}/disable', 'admin', []],
  ['post', '/v1/maps/{map}/drain', 'drain', ['application/json']],
  ['post', '/v1/maps/{map}/replay', 'drain', ['application/json']],
  ['get', '/v1/maps/{map}/producers', 'read', []],
  ['delete', '/v1/maps/{map}/producers/{producer}', 'admin', []],
  ['get', '/v1/metrics', 'read', []],
  ['get', '/metrics', 'read', []],
  ['get', '/livez', 'public', []],
  ['get', '/readyz', 'public', []],
];

describe('openapi.yaml', () => {
  it('is what the code says (UPDATE_DOCS=1 writes it)', () => {
    expect(committed('openapi.yaml', text)).toBe(text);
  });

  it('is the document that the daemon serves', async () => {
    const served = await daemon.rest.expect(200, 'GET', '/openapi.json');
    expect(served).toEqual(document);
  });

  it('holds every call of the contract and no other', () => {
    const found = operations().map(({ method, path }) => `${method} ${path}`);
    expect(found.sort()).toEqual(CALLS.map(([method, path]) => `${method} ${path}`).sort());
  });

  it.each(CALLS)('describes %s %s in full', (method, path, scope, bodies) => {
    const operation = document.paths[path]![method]!;
    expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/);
    expect(operation.summary).toBeTruthy();
    expect(operation.tags).toHaveLength(1);
    expect(document.tags.map(({ name }) => name)).toContain(operation.tags![0]);
    if (scope === 'public') expect(operation.security).toEqual([]);
    else {
      expect(operation.security).toBeUndefined();
      expect(operation.description).toContain(`Scope: \`${scope}\``);
    }
    expect(Object.keys(operation.requestBody?.content ?? {})).toEqual(bodies);
    for (const { schema } of Object.values(operation.requestBody?.content ?? {}))
      expect(schema).toBeDefined();
    for (const [status, answer] of Object.entries(operation.responses)) {
      expect(answer.description, `${status} of ${path}`).not.toBe('Default Response');
      if (status === '4XX' || status === '5XX')
        expect(Object.keys(answer.content!)).toEqual(['application/problem+json']);
      else if (status === '200' || status === '201')
        for (const { schema } of Object.values(answer.content!)) expect(schema).toBeDefined();
    }
    expect(Object.keys(operation.responses)).toEqual(expect.arrayContaining(['4XX', '5XX']));
  });

  it('names no operation twice', () => {
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('declares every parameter of every path, each described and required where it is part of the path', () => {
    for (const { path, operation } of operations()) {
      const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name);
      const parameters = operation.parameters ?? [];
      expect(parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)).toEqual(
        inPath,
      );
      for (const parameter of parameters) {
        expect(['path', 'query']).toContain(parameter.in);
        expect(parameter.required).toBe(parameter.in === 'path');
        expect(parameter.schema).toBeDefined();
        expect(parameter.description).toBeTruthy();
      }
    }
  });

  it('is of the form that OpenAPI 3.1 asks for', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(Object.keys(document).sort()).toEqual(
      ['components', 'info', 'openapi', 'paths', 'security', 'tags'].sort(),
    );
    for (const name of Object.keys(document.components.schemas)) expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
    for (const path of Object.keys(document.paths)) expect(path).toMatch(/^(\/[a-z0-9.]+|\/\{[a-z]+\})+$/);
    for (const { operation } of operations())
      for (const status of Object.keys(operation.responses)) expect(status).toMatch(/^([1-5]\d\d|[1-5]XX)$/);
  });

  it('refers only to schemas that are there, and has no other ones', () => {
    const used = new Set<string>();
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === '$ref') used.add(String(value));
        else walk(value);
      }
    };
    walk(document);
    const there = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...used].sort()).toEqual(there.sort());
  });

  it('asks callers for no key that has a default', () => {
    for (const name of ['CreateMap', 'PutHandler', 'DrainRequest']) {
      const { properties, required, additionalProperties } = document.components.schemas[name]! as {
        properties: Record<string, Json>;
        required: string[];
        additionalProperties: boolean;
      };
      expect(additionalProperties).toBe(false);
      expect(required).toEqual(Object.keys(properties).filter((key) => !('default' in properties[key]!)));
    }
  });

  it('has examples of bodies that the daemon takes', async () => {
    const example = (path: string, method: string, type = 'application/json'): unknown =>
      document.paths[path]![method]!.requestBody!.content[type]!.example;
    await daemon.rest.expect(201, 'PUT', '/v1/maps/m', example('/v1/maps/{map}', 'put'));
    await daemon.rest.expect(
      201,
      'PUT',
      '/v1/maps/m/handlers/h',
      example('/v1/maps/{map}/handlers/{handler}', 'put'),
    );
    await daemon.rest.expect(200, 'POST', '/v1/maps/m/drain', example('/v1/maps/{map}/drain', 'post'));
    const lines = example('/v1/maps/{map}/samples', 'post', 'application/x-ndjson') as string;
    const stored = await daemon.rest.send('POST', '/v1/maps/m/samples', lines, {
      'content-type': 'application/x-ndjson',
    });
    expect(stored).toMatchObject({ status: 200, body: { accepted: 2 } });
  });
});
