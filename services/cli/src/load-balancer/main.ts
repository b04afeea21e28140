import { createLogger, FileWatcher, nodeClock, parseFlags } from '@pilothouse/host';
import type { FlagSpecs } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import type { Backend } from './balancer.ts';
import { startBalancer } from './balancer.ts';

const specs: FlagSpecs = {
  listen: { type: 'string', default: '127.0.0.1:6443', help: 'Address to accept connections on' },
  backends: { type: 'strings', default: [], help: 'API servers, host:port each' },
  'ca-file': { type: 'string', default: '', help: "CA of the API servers' certificates" },
};

function parseAddress(text: string): Backend {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port))
    throw new CommandError(`Invalid address "${text}": want host:port`);
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}

/** `pilothouse load-balancer`: runs until SIGTERM or SIGINT. */
export async function runLoadBalancer(argv: readonly string[]): Promise<void> {
  const { values } = parseFlags(specs, argv);
  const logger = createLogger({ component: 'load-balancer' });
  const watcher = new FileWatcher({ clock: nodeClock, logger });
  let ca = '';
  watcher.follow({
    what: 'ca-file',
    files: [values['ca-file'] as string],
    required: true,
    apply: ([text = '']) => (ca = text),
  });
  const balancer = await startBalancer({
    listen: parseAddress(values['listen'] as string),
    backends: (values['backends'] as string[]).map(parseAddress),
    ca: () => ca,
    clock: nodeClock,
    logger,
  });
  logger.info('Accepting connections', { address: `${balancer.address.host}:${balancer.address.port}` });
  await new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  watcher.close();
  await balancer.close();
}
