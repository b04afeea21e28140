import { statusErrors } from '@pilothouse/apimachinery';
import type { Call } from '../call.ts';
import { contextOf } from '../call.ts';
import { requireMember } from './require-member.ts';

/** log, exec, attach, portforward and proxy: the storage's handler takes over the connection. `path`: what follows `proxy`. */
export async function handleConnect(call: Call, path: string): Promise<void> {
  const connect = requireMember(call, 'connect');
  const { exchange } = call;
  const handler = await connect(contextOf(call), call.name, path, exchange.query);
  if (exchange.upgrade) {
    if (!handler.upgrade) throw statusErrors.badRequest('Upgrade request required');
    exchange.response.detachSocket(exchange.upgrade.socket as never);
    handler.upgrade(exchange.request, exchange.upgrade.socket, exchange.upgrade.head);
    return;
  }
  handler.handle(exchange.request, exchange.response);
}
