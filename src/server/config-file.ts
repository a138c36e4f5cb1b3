import { readFileSync } from 'node:fs';
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import { ConfigError, type ConfigProblem } from './config-problem.js';

/** A configuration file as data, and where in it each key stands. */
export interface ConfigFile {
  /** Plain data, not yet checked; an empty file is an empty mapping. */
  value: unknown;
  /** `name:line` of a key path, or of its nearest parent that is in the file. */
  where: (path: string) => string;
}

/**
 * Reads and parses a YAML file.
 * @throws ConfigError when the file cannot be read or is not one YAML document
 */
export function readConfigFile(file: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ path: '', message: `cannot read ${file}: ${readReason(error)}` }]);
  }
  return parseConfigText(text, file);
}

/**
 * Parses YAML text (JSON is YAML too). Values keep the type they are written with: nothing is coerced.
 * @param name shown in messages
 * @throws ConfigError with every syntax error
 */
export function parseConfigText(text: string, name: string): ConfigFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problems = [...document.errors, ...document.warnings].map((error): ConfigProblem => ({
    path: '',
    where: `${name}:${lines.linePos(error.pos[0]).line}`,
    message: `not valid YAML: ${error.message}`,
  }));
  if (problems.length > 0) throw new ConfigError(problems);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new ConfigError([
      { path: '', where: name, message: `not valid YAML: ${(error as Error).message}` },
    ]);
  }
  return { value, where: (path) => `${name}:${lineOf(document, lines, path)}` };
}

function lineOf(document: Document, lines: LineCounter, path: string): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const step of path.match(/[^.[\]]+/g) ?? []) {
    let at: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === step);
      [at, node] = [pair?.key, pair?.value];
    } else if (isSeq(node)) {
      at = node = node.items[Number(step)];
    }
    const start = startOf(at);
    if (start === undefined) break;
    offset = start;
  }
  return lines.linePos(offset).line;
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function readReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file (check the path given with --config)';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'it is a directory';
  return message;
}
