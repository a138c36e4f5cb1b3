import { CliError } from './cli-io.js';

/** Says in plain words why listening failed; `undefined` for errors that are not about the address. */
export function explainListenError(error: unknown, listen: string): CliError | undefined {
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'EADDRINUSE':
      return new CliError(
        `cannot listen on ${listen}: another process already does`,
        'Stop it (find it with: ss -ltnp), or choose another port with --listen HOST:PORT; port 0 takes any free one.',
      );
    case 'EACCES':
      return new CliError(
        `cannot listen on ${listen}: permission denied`,
        'Ports below 1024 belong to root on most systems; choose one from 1024 with --listen HOST:PORT.',
      );
    case 'EADDRNOTAVAIL':
      return new CliError(
        `cannot listen on ${listen}: this machine does not have that address`,
        'Use 127.0.0.1 for this machine only, or an address that "ip addr" shows.',
      );
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new CliError(
        `cannot listen on ${listen}: the host name has no address`,
        'Use an IP address, such as 127.0.0.1.',
      );
    default:
      return undefined;
  }
}
