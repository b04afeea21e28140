import type { Logger, NameLookup } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import {
  FlagError,
  flagUsage,
  nodeClock,
  nodeNameLookup,
  nodeRandom,
  parseFlags,
  type FlagSpecs,
} from '@pilothouse/host';
import { clientsBySrv } from './io/srv-discovery.ts';
import { startTcpGateway, type TcpGateway } from './io/tcp-gateway.ts';

/** The flags of etcd's `gateway start`. */
const gatewayFlags: FlagSpecs = {
  'listen-addr': { type: 'string', default: '127.0.0.1:23790', help: 'Where to listen' },
  endpoints: { type: 'string', default: '127.0.0.1:2379', help: 'Members, host:port, with commas between' },
  'discovery-srv': { type: 'string', default: '', help: 'DNS domain whose SRV records name the members' },
  'discovery-srv-name': { type: 'string', default: '', help: 'Suffix of the name of those records' },
  'insecure-discovery': { type: 'boolean', default: false, help: 'Take records of members without TLS too' },
  'trusted-ca-file': {
    type: 'string',
    default: '',
    help: 'Accepted for compatibility: bytes pass through, clients check certificates themselves',
    ignored: true,
  },
  'retry-delay': { type: 'duration', default: '1m', help: 'Time until a member that failed is tried again' },
  help: { type: 'boolean', default: false, help: 'Print this help' },
};

const usage = `Usage:\n\n  etcd gateway start [flags]\n\n${flagUsage(gatewayFlags)}\n`;

function hostAndPort(flag: string, text: string): { host: string; port: number } {
  const match = /^(?:[a-z]+:\/\/)?(\[[^\]]+\]|[^:/]*):(\d+)\/?$/.exec(text);
  if (match === null) throw new FlagError(`Invalid value "${text}" for --${flag}: want host:port`);
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port: Number(match[2]) };
}

/**
 * `etcd gateway start …`: starts a TCP proxy in front of the members. Undefined: help was asked for and printed. Throws FlagError, StartupError or the
 * error of the port.
 */
export async function startGateway(
  argv: readonly string[],
  logger: Logger,
  lookup: NameLookup = nodeNameLookup(),
): Promise<TcpGateway | undefined> {
  const [command, ...rest] = argv;
  const { values } = parseFlags(gatewayFlags, command === 'start' ? rest : argv, {});
  if (values['help'] === true) {
    process.stdout.write(usage);
    return undefined;
  }
  if (command !== 'start') throw new FlagError('Want "etcd gateway start [flags]"');
  const text = (flag: string): string => String(values[flag]);
  const domain = text('discovery-srv');
  const listen = hostAndPort('listen-addr', text('listen-addr'));
  const endpoints =
    domain === ''
      ? text('endpoints')
          .split(',')
          .map((each) => ({ ...hostAndPort('endpoints', each.trim()), priority: 0, weight: 0 }))
      : await clientsBySrv(
          { domain, suffix: text('discovery-srv-name') },
          values['insecure-discovery'] === true,
          lookup,
        );
  const own = new Set(await lookup.addresses(listen.host === '' ? '0.0.0.0' : listen.host));
  for (const { host, port } of endpoints) {
    let addresses: readonly string[];
    try {
      addresses = await lookup.addresses(host);
    } catch (error) {
      throw new FlagError(`failed to resolve endpoint host "${host}": ${errorMessage(error)}`);
    }
    if (port === listen.port && addresses.some((address) => own.has(address)))
      throw new FlagError(
        `Endpoint ${host}:${port} is the gateway's own address (--listen-addr=${text('listen-addr')}). Give it another port`,
      );
  }
  const retryDelayMs = values['retry-delay'] as number;
  return startTcpGateway({ listen, endpoints, retryDelayMs, clock: nodeClock, random: nodeRandom, logger });
}
