import type { Agent as HttpAgent, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { statusErrors } from '@pilothouse/apimachinery';
import type { NodeTarget } from '../registry/delegates.ts';
import { dial, dialError, forwardedHeaders, headText, hostOf, refuseUpgrade } from './outgoing.ts';

/** Passes an upgrade through unread: the target answers it, then bytes go both ways until one side ends. */
export function forwardUpgrade(
  target: NodeTarget,
  agent: HttpAgent,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const to = { ...target, path: target.path.startsWith('/') ? target.path : `/${target.path}` };
  const outgoing = dial(to, agent, request.method ?? 'GET', {
    ...forwardedHeaders(request),
    host: hostOf(request, target),
    connection: 'Upgrade',
    upgrade: request.headers.upgrade ?? '',
  });
  outgoing.once('upgrade', (answer, upstream, upstreamHead) => {
    socket.write(headText(101, 'Switching Protocols', answer.rawHeaders));
    if (upstreamHead.length > 0) socket.write(upstreamHead);
    if (head.length > 0) upstream.write(head);
    joinSockets(socket, upstream);
  });
  // The target refused to upgrade: the client gets its answer.
  outgoing.once('response', (answer) => {
    const status = answer.statusCode ?? 502;
    if (status < 400) {
      answer.resume();
      refuseUpgrade(socket, statusErrors.internal(`invalid upgrade response: status code ${status}`));
      return;
    }
    const kept = answer.rawHeaders.flatMap((name, index, all) =>
      index % 2 === 0 && !['connection', 'keep-alive', 'transfer-encoding'].includes(name.toLowerCase())
        ? [name, all[index + 1] as string]
        : [],
    );
    socket.write(headText(status, answer.statusMessage ?? '', [...kept, 'Connection', 'close']));
    answer.pipe(socket);
  });
  outgoing.once('error', (error) => refuseUpgrade(socket, dialError(target, error, true)));
  socket.once('close', () => outgoing.destroy());
  outgoing.end();
}

/** Either side's end ends the other, after what was on its way. */
export function joinSockets(one: Duplex, other: Duplex): void {
  one.pipe(other);
  other.pipe(one);
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    from.once('error', () => to.destroy());
    from.once('close', () => to.destroy());
  }
}
