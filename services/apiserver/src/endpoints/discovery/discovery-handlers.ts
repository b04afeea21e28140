import { statusErrors } from '@pilothouse/apimachinery';
import type { Exchange } from '../../request/exchange.ts';
import { splitPath } from '../../request/request-info.ts';
import { methodNotAllowed } from '../dispatch.ts';
import type { ObjectCodec } from '../codec.ts';
import { negotiate } from '../negotiation.ts';
import type { PathTable } from '../path-table.ts';
import { respondPathNotFound } from '../path-table.ts';
import { respondBytes, respondObject, startResponse } from '../respond.ts';
import type { AggregatedDocument, DiscoveryManager } from './discovery-manager.ts';

const aggregatedType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

export interface DiscoveryOptions {
  readonly manager: DiscoveryManager;
  readonly codec: ObjectCodec;
  /** `host:port` that clients may use, for serverAddressByClientCIDRs. */
  serverAddress(): string;
}

/** Serves `/api`, `/apis` and what is below them without being a resource. */
export function registerDiscovery(paths: PathTable, options: DiscoveryOptions): void {
  const { manager, codec } = options;
  const plain = (exchange: Exchange, object: object): Promise<void> => {
    const output = negotiate(exchange.header('accept'), { allows: () => false });
    return respondObject(exchange, codec, 200, object, output);
  };
  const onlyGet = (exchange: Exchange): void => {
    if (exchange.method !== 'GET') throw methodNotAllowed();
  };
  const root =
    (core: boolean) =>
    async (exchange: Exchange): Promise<void> => {
      onlyGet(exchange);
      const output = negotiate(exchange.header('accept'), {
        allows: (_mediaType, target) =>
          target.group === 'apidiscovery.k8s.io' &&
          target.version === 'v2' &&
          target.kind === 'APIGroupDiscoveryList',
      });
      if (output.transform) {
        respondAggregated(exchange, manager.aggregated(core));
        return;
      }
      exchange.response.setHeader('Vary', 'Accept');
      const object = core
        ? {
            kind: 'APIVersions',
            versions: ['v1'],
            serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress: options.serverAddress() }],
          }
        : { kind: 'APIGroupList', apiVersion: 'v1', groups: manager.groups() };
      await respondObject(exchange, codec, 200, object, output);
    };
  for (const path of ['/api', '/api/']) paths.handle(path, root(true), path === '/api');
  for (const path of ['/apis', '/apis/']) paths.handle(path, root(false), path === '/apis');

  paths.handlePrefix('/api/', async (exchange) => {
    const [, version = '', ...rest] = splitPath(exchange.path);
    const list = rest.length === 0 ? manager.resourceList('', version) : undefined;
    if (!list) throw statusErrors.genericNotFound();
    onlyGet(exchange);
    await plain(exchange, list);
  });
  paths.handlePrefix('/apis/', async (exchange) => {
    const [, group = '', version, ...rest] = splitPath(exchange.path);
    if (!manager.has(group)) {
      respondPathNotFound(exchange);
      return;
    }
    if (version === undefined) {
      onlyGet(exchange);
      await plain(exchange, { kind: 'APIGroup', apiVersion: 'v1', ...manager.group(group) });
      return;
    }
    const list = rest.length === 0 ? manager.resourceList(group, version) : undefined;
    if (!list) throw statusErrors.genericNotFound();
    onlyGet(exchange);
    await plain(exchange, list);
  });
}

function respondAggregated(exchange: Exchange, document: AggregatedDocument): void {
  const { response } = exchange;
  response.setHeader('ETag', document.etag);
  response.setHeader('Vary', 'Accept');
  response.setHeader('Cache-Control', 'public');
  response.setHeader('X-Varied-Accept', aggregatedType);
  if (exchange.header('if-none-match') === document.etag) {
    startResponse(exchange, 304);
    response.end();
    return;
  }
  respondBytes(exchange, 200, aggregatedType, document.body);
}
