import type { Clock, Timer } from '@pilothouse/base';
import { decodeMessage, encodeMessage, etcdserverpb } from '@pilothouse/proto';
import type { Balancer } from './balancer.ts';
import { EtcdError, grpcCode } from './errors.ts';
import { limits } from './limits.ts';

/**
 * Takes a piece of a snapshot. `remainingBytes`: how much of the database follows; after it comes, as the last piece, the SHA-256 of
 * all before. Synchronous, so that no more than a window is ever waiting.
 */
export type OnBlob = (blob: Uint8Array, remainingBytes: number) => void;

/** Streams the whole store from the member in use. Rejects with EtcdError, or with what `onBlob` throws. */
export async function streamSnapshot(balancer: Balancer, clock: Clock, onBlob: OnBlob): Promise<void> {
  const connection = balancer.connection();
  if (!connection.isUp) await connection.ready();
  await new Promise<void>((resolve, reject) => {
    let timer: Timer | undefined;
    const fail = (error: unknown): void => {
      timer?.cancel();
      stream.cancel();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    // The server may work for long before the first piece.
    const watchOver = (): void => {
      timer?.cancel();
      timer = clock.setTimeout(
        () => fail(new EtcdError(grpcCode.deadlineExceeded, 'The snapshot stream is silent')),
        limits.snapshotSilenceMs,
      );
    };
    const stream = connection.stream(etcdserverpb.MaintenanceService.Snapshot.path, balancer.metadata, {
      onMessage(message) {
        watchOver();
        try {
          const { blob, remainingBytes } = decodeMessage(etcdserverpb.SnapshotResponse, message);
          onBlob(blob, remainingBytes);
        } catch (error) {
          fail(error);
        }
      },
      onEnd(error) {
        timer?.cancel();
        if (error) reject(error);
        else resolve();
      },
    });
    watchOver();
    stream.write(encodeMessage(etcdserverpb.SnapshotRequest, {}));
    stream.end();
  });
}
