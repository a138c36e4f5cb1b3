import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Output of a command. @throws Error when it fails, with what it said on standard error */
export function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let complaints = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(output);
      else reject(new CommandFailed(command, code, complaints.trim()));
    });
  });
}

export class CommandFailed extends Error {
  readonly code: number | null;
  readonly complaints: string;

  constructor(command: string, code: number | null, complaints: string) {
    super(`${command} ended with ${code}: ${complaints}`);
    this.code = code;
    this.complaints = complaints;
  }
}

/** Arguments with which node runs a TypeScript file of this folder. */
export function nodeArguments(file: string, ...args: readonly string[]): string[] {
  return ['--import', 'tsx', fileURLToPath(new URL(`../${file}`, import.meta.url)), ...args];
}
