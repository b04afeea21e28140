import { WebSocket } from 'k6/websockets';
import { headers, settings } from './cluster.ts';

export interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: {
      readonly name: string;
      readonly uid?: string;
      readonly resourceVersion?: string;
      readonly annotations?: Record<string, string>;
    };
    readonly status?: { readonly conditions?: readonly { type: string; status: string }[] };
  };
}

export interface WatchHandle {
  close(): void;
}

/**
 * A watch over WebSocket, which an API server offers beside streamed HTTP: k6 reads bodies whole, so events of an HTTP watch would all
 * arrive at its end. `onEnd` tells whether this side asked for it.
 */
export function watch(
  path: string,
  on: { opened?(): void; event(event: WatchEvent): void; ended?(asked: boolean): void },
): WatchHandle {
  const socket = new WebSocket(settings.server.replace(/^http/, 'ws') + path, null, {
    headers: headers(),
    tags: { name: 'WATCH', verb: 'WATCH' },
  });
  let asked = false;
  let isOver = false;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    on.ended?.(asked);
  };
  socket.onopen = () => on.opened?.();
  socket.onmessage = (message) => {
    const data = message?.data;
    if (typeof data === 'string') on.event(JSON.parse(data) as WatchEvent);
  };
  socket.onerror = end;
  socket.onclose = end;
  return {
    close() {
      asked = true;
      socket.close();
    },
  };
}
