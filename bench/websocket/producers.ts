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
  return {
    async run(job) {
      const answered = once(child, 'message');
      child.send(job);
      const [answer] = (await Promise.race([
        answered,
        once(child, 'exit').then(() => {
          throw new Error('the producers ended');
        }),
      ])) as [JobAnswer];
      if ('error' in answer) throw new Error(`${job.link}: ${answer.error}`);
      return answer;
    },
    stop: () => stop(child),
  };
}
