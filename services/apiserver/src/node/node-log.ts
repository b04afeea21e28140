import type { Agent as HttpAgent, IncomingMessage, ServerResponse } from 'node:http';
import { StatusError, statusErrors } from '@pilothouse/apimachinery';
import type { NodeTarget } from '../registry/delegates.ts';
import type { ConnectHandler } from '../registry/rest/rest-storage.ts';
import { dial, dialError, statusBody } from './outgoing.ts';

const errorBytesMax = 50_000;

/** A container's log from its node. What the node refuses becomes a Status in the words of upstream. */
export function nodeLog(target: NodeTarget, agent: HttpAgent, podName: string): ConnectHandler {
  return {
    handle(_request, response) {
      const outgoing = dial(target, agent, 'GET', { host: `${target.host}:${target.port}` });
      outgoing.once('response', (answer) => {
        const status = answer.statusCode ?? 502;
        if (status < 200 || status > 206) {
          void readText(answer).then((text) => fail(response, refusal(status, text, podName)));
          return;
        }
        response.writeHead(200, { 'content-type': 'text/plain' });
        response.flushHeaders();
        answer.pipe(response);
        answer.once('error', () => response.destroy());
      });
      outgoing.once('error', (error) => fail(response, dialError(target, error)));
      response.once('close', () => outgoing.destroy());
      outgoing.end();
    },
  };
}

function refusal(status: number, text: string, podName: string): StatusError {
  if (status === 500) return statusErrors.internal(text);
  if (status === 400) return statusErrors.badRequest(text);
  const details = { name: podName, kind: 'pods/log' };
  const about = `( pods/log ${podName})`;
  switch (status) {
    case 404:
      return new StatusError(
        404,
        'NotFound',
        `the server could not find the requested resource ${about}`,
        details,
      );
    case 401:
      return new StatusError(
        401,
        'Unauthorized',
        `the server has asked for the client to provide credentials ${about}`,
        details,
      );
    case 403:
      return new StatusError(403, 'Forbidden', text, details);
    default:
      return new StatusError(
        status,
        status >= 500 ? 'InternalError' : '',
        text === ''
          ? `the server responded with the status code ${status} but did not return more information ${about}`
          : text,
        details,
      );
  }
}

function fail(response: ServerResponse, error: StatusError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const body = statusBody(error);
  response.writeHead(error.httpCode, { 'Content-Type': 'application/json', 'Content-Length': body.length });
  response.end(body);
}

async function readText(answer: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const piece of answer as AsyncIterable<Buffer>)
      if (text.length < errorBytesMax) text += piece.toString();
  } catch {
    // What came is what there is.
  }
  return text;
}
