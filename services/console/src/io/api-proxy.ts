import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorMessage } from '@pilothouse/base';
import type { TransportRequest, TransportResponse } from '@pilothouse/client';
import { refusedPath, safeMediaType } from '../core/passed-path.ts';
import { ConsoleError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { ApiAccess } from './api-access.ts';
import { readBody } from './answers.ts';

const methods: readonly string[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
/** Nothing else goes on: no cookies, no impersonation, no second credentials. */
const passedHeaders = ['accept', 'content-type'];
const returnedHeaders = ['warning', 'retry-after', 'audit-id'];

/** Passes one request on with the user's credentials and its answer back, piece by piece, so that watches flow. */
export async function passOn(
  request: IncomingMessage,
  response: ServerResponse,
  access: ApiAccess,
  path: string,
): Promise<void> {
  const method = request.method ?? 'GET';
  if (!methods.includes(method)) throw new ConsoleError(405, `Method ${method} is not allowed here`);
  const refused = refusedPath(path);
  if (refused !== undefined) throw new ConsoleError(403, refused);
  const body = method === 'GET' ? undefined : await readBody(request, limits.requestBytesMax);
  const headers: Record<string, string> = {};
  for (const name of passedHeaders) {
    const value = request.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  let answer: TransportResponse;
  try {
    answer = await access.transport.request({
      method: method as TransportRequest['method'],
      path,
      headers,
      signal: gone.signal,
      ...(body === undefined || body.length === 0 ? {} : { body }),
    });
  } catch (error) {
    if (gone.signal.aborted) return;
    throw new ConsoleError(502, `The API server cannot be reached: ${errorMessage(error)}`);
  }
  const passed: Record<string, string> = {};
  for (const name of returnedHeaders) {
    const value = answer.headers[name];
    if (value !== undefined) passed[name] = value;
  }
  response.writeHead(answer.status, {
    ...passed,
    'content-type': safeMediaType(answer.headers['content-type']),
    'cache-control': 'no-store',
  });
  response.flushHeaders();
  try {
    for await (const piece of answer.body)
      if (!response.write(piece)) await Promise.race([once(response, 'drain'), once(response, 'close')]);
    response.end();
  } catch {
    // The answer broke off: so does what is passed on, and the browser notices.
    response.destroy();
  }
}
