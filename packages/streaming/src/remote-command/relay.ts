import { pipeline } from 'node:stream/promises';
import { errorMessage } from '@pilothouse/base';
import type { SpdyConnection } from '../spdy/connection.ts';
import type { RemoteOutcome, RemoteStreams, StreamOptions } from './remote-streams.ts';

const statusBytesMax = 1 << 20;

/**
 * Carries a client's exec or attach over a SPDY connection to a node that does not speak the client's protocol itself.
 * Resolves when the node has ended the session; the client has been told the outcome by then.
 */
export async function relayOverSpdy(
  client: RemoteStreams,
  node: SpdyConnection,
  options: StreamOptions,
): Promise<void> {
  let outcome: RemoteOutcome;
  client.onClose(() => node.destroy());
  try {
    const error = await node.open({ streamtype: 'error' });
    error.end();
    const stdin = options.stdin ? await node.open({ streamtype: 'stdin' }) : undefined;
    const stdout = options.stdout ? await node.open({ streamtype: 'stdout' }) : undefined;
    const stderr = options.stderr && !options.tty ? await node.open({ streamtype: 'stderr' }) : undefined;
    const resize = options.tty ? await node.open({ streamtype: 'resize' }) : undefined;
    stdout?.end();
    stderr?.end();
    if (resize)
      client.onResize(({ width, height }) => {
        if (resize.writable) resize.write(JSON.stringify({ Width: width, Height: height }));
      });
    if (stdin && client.stdin) void pipeline(client.stdin, stdin).catch(() => undefined);
    const outputs = [
      stdout && client.stdout ? pipeline(stdout, client.stdout) : undefined,
      stderr && client.stderr ? pipeline(stderr, client.stderr) : undefined,
    ];
    const pieces: Buffer[] = [];
    let bytes = 0;
    error.on('data', (piece: Buffer) => {
      if ((bytes += piece.length) <= statusBytesMax) pieces.push(piece);
    });
    await new Promise<void>((resolve) => error.once('end', () => resolve()));
    await Promise.allSettled(outputs);
    const status = Buffer.concat(pieces);
    outcome = status.length > 0 ? { status } : { error: 'the node ended the session without a status' };
  } catch (error) {
    outcome = { error: errorMessage(error) };
  }
  await client.finish(outcome);
  node.close();
}
