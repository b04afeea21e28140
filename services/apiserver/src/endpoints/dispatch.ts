import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { Exchange } from '../request/exchange.ts';
import type { RestStorage } from '../registry/rest/rest-storage.ts';
import type { Call, EndpointServices } from './call.ts';
import { checkAcceptable } from './negotiation.ts';
import { handleConnect } from './handlers/connect.ts';
import { handleCreate } from './handlers/create.ts';
import { handleDelete, handleDeleteCollection } from './handlers/delete.ts';
import { handleGet } from './handlers/get.ts';
import { handleList } from './handlers/list.ts';
import { handlePatch, patchTypes } from './handlers/patch.ts';
import { handleUpdate } from './handlers/update.ts';
import { handleWatch } from './handlers/watch.ts';
import { deprecationWarning } from './deprecation.ts';
import type { ResourceTable } from './resource-table.ts';

/** The router's 405: the path exists, the method does not. */
export function methodNotAllowed(): StatusError {
  return new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
}

/** Answers a resource request from the storage behind its path. Throws what the client gets as a Status. */
export async function dispatchResource(
  exchange: Exchange,
  table: ResourceTable,
  services: EndpointServices,
): Promise<void> {
  const { info } = exchange;
  const isProxyPath = info.parts[2] === 'proxy';
  if (info.parts.length > 3 && !isProxyPath) throw statusErrors.genericNotFound();
  // `/proxy/` as a prefix was never served by this API version.
  if (info.verb === 'proxy') throw statusErrors.genericNotFound();
  const storage = table.find(info.apiGroup, info.apiVersion, info.resource, info.subresource);
  if (!storage) throw statusErrors.genericNotFound();
  const { resource } = storage;
  const namespace = resource.namespaced ? info.namespace : '';
  const isNamed = info.parts.length > 1;
  // A cluster-scoped resource below a namespace, or a named namespaced one outside of any, has no path.
  const inNamespace = info.namespace !== '' && info.resource !== 'namespaces';
  if (!resource.namespaced && inNamespace) throw statusErrors.genericNotFound();
  if (resource.namespaced && isNamed && namespace === '') throw statusErrors.genericNotFound();
  const call: Call = { exchange, storage, services, name: info.name, namespace };
  const warning = storage.deprecation ?? deprecationWarning(resource.group, resource.version, resource.kind);
  const route = routeOf(call, isNamed);
  if (warning !== undefined) exchange.addWarning(warning);
  if (storage.connect && resource.subresource !== '') {
    // The slash at the end matters to what is behind the proxy.
    const slash = exchange.path.endsWith('/') ? '/' : '';
    await handleConnect(call, `${info.parts.slice(3).join('/')}${slash}`);
    return;
  }
  await route();
}

/** The handler of method and path. Throws 404, 405, 406 and 415 as the router does, in that order. */
function routeOf(call: Call, isNamed: boolean): () => Promise<void> {
  const { exchange, storage } = call;
  const { info, method } = exchange;
  const { verbs } = storage.resource;
  const acrossNamespaces = storage.resource.namespaced && call.namespace === '';
  const accept = exchange.header('accept');
  const has = (verb: string): boolean => verbs.includes(verb);
  if (storage.connect && storage.resource.subresource !== '') {
    const allowed = storage.resource.subresource === 'proxy' ? true : method === 'GET' || method === 'POST';
    if (!allowed || (storage.resource.subresource === 'log' && method !== 'GET')) throw methodNotAllowed();
    return () => Promise.resolve();
  }
  if (info.watchPrefix) {
    if (!has('watch')) throw statusErrors.genericNotFound();
    if (method !== 'GET') throw methodNotAllowed();
    checkAcceptable(accept, true);
    return () => handleWatch(call);
  }
  if (isNamed) return namedRoute(call, storage, has);
  switch (method) {
    case 'GET':
      if (!has('list')) throw methodNotAllowed();
      checkAcceptable(accept, true);
      if (info.verb !== 'watch') return () => handleList(call);
      if (!has('watch')) {
        const { group, resource } = storage.resource;
        return () => Promise.reject(statusErrors.methodNotSupported({ group, resource }, 'watch'));
      }
      return () => handleWatch(call);
    case 'POST':
      if (!has('create') || acrossNamespaces) throw methodNotAllowed();
      checkAcceptable(accept, false);
      return () => handleCreate(call);
    case 'DELETE':
      if (!has('deletecollection') || acrossNamespaces) throw methodNotAllowed();
      checkAcceptable(accept, false);
      return () => handleDeleteCollection({ ...call, name: '' });
    default:
      throw methodNotAllowed();
  }
}

function namedRoute(call: Call, storage: RestStorage, has: (verb: string) => boolean): () => Promise<void> {
  const { exchange } = call;
  const accept = exchange.header('accept');
  const check = (verb: string): void => {
    if (!has(verb)) throw methodNotAllowed();
    checkAcceptable(accept, false);
  };
  switch (exchange.method) {
    case 'GET':
      check('get');
      return () => handleGet(call);
    case 'PUT':
      check('update');
      return () => handleUpdate(call);
    case 'PATCH': {
      if (!has('patch')) throw methodNotAllowed();
      const type = (exchange.header('content-type').split(';')[0] ?? '').trim().toLowerCase();
      if (!patchTypes.has(type)) {
        throw new StatusError(415, 'UnsupportedMediaType', '415: Unsupported Media Type', {});
      }
      checkAcceptable(accept, false);
      return () => handlePatch(call, type);
    }
    case 'POST':
      if (storage.resource.subresource === '') throw methodNotAllowed();
      check('create');
      return () => handleCreate(call);
    case 'DELETE':
      check('delete');
      return () => handleDelete(call);
    default:
      throw methodNotAllowed();
  }
}
