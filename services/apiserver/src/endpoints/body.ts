import { statusErrors } from '@pilothouse/apimachinery';
import { limits } from '../limits.ts';
import type { Exchange } from '../request/exchange.ts';

/** Reads a request's body. Throws 413 beyond the limit and 400 when the client breaks off. */
export function readBody(exchange: Exchange, limit: number = limits.requestBytesMax): Promise<Buffer> {
  const { request } = exchange;
  const tooLarge = (): Error => statusErrors.requestEntityTooLarge(`limit is ${limit}`);
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limit) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limit) {
        cleanUp();
        reject(tooLarge());
        return;
      }
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      cleanUp();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length));
    };
    const onError = (): void => {
      cleanUp();
      reject(statusErrors.badRequest('unable to read request body: unexpected EOF'));
    };
    const onAbort = (reason: unknown): void => {
      cleanUp();
      reject(reason instanceof Error ? reason : new Error('request aborted'));
    };
    let forget = (): void => undefined;
    const cleanUp = (): void => {
      request.off('data', onData).off('end', onEnd).off('error', onError).off('aborted', onError);
      forget();
    };
    request.on('data', onData).on('end', onEnd).on('error', onError).on('aborted', onError);
    forget = exchange.onAbort(onAbort);
  });
}
