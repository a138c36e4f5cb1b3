import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { stop } from '../peers/server.js';
import type { Job, JobAnswer } from './producer-process.js';

/** A process with the producers of one contender. */
export interface Producers {
  /** @throws Error when a producer failed */
  run: (job: Job) => Promise<Exclude<JobAnswer, { error: string }>>;
  stop: () => Promise<void>;
}

export function startProducers(): Producers {
  const file = fileURLToPath(new URL('./producer-process.ts', import.meta.url));
  const child = fork(file, { execArgv: ['--import', 'tsx'] });
  const ended = once(child, 'exit').then((): never => {
    throw new Error('the producers ended');
  });
  // It ends when it is stopped, and then nobody waits for it.
  ended.catch(() => undefined);
  return {
    async run(job) {
      const answered = once(child, 'message') as Promise<[JobAnswer]>;
      child.send(job);
      const [answer] = await Promise.race([answered, ended]);
      if ('error' in answer) throw new Error(`${job.link}: ${answer.error}`);
      return answer;
    },
    stop: () => stop(child),
  };
}
