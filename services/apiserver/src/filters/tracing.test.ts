import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SpanOptions, Tracer } from '@pilothouse/base';
import type { Exchange } from '../request/exchange.ts';
import { requestInfoOf } from '../request/request-info.ts';
import { tracingFilter } from './tracing.ts';

const header = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** What the filter asks of the tracer, and what it then sets. */
function pass(method: string, path: string, groups: string[], traceparent = header) {
  const asked: { name: string; options: SpanOptions }[] = [];
  const set: Record<string, unknown> = {};
  let ended = false;
  const span = {
    traceparent: '',
    child: () => span,
    set: (name: string, value: unknown) => void (set[name] = value),
    fail: () => void (set['failed'] = true),
    end: () => void (ended = true),
  };
  const tracer: Tracer = {
    start(name, options = {}) {
      asked.push({ name, options });
      return span;
    },
  };
  let close = (): void => undefined;
  const exchange = {
    method,
    info: requestInfoOf(method, path, new URLSearchParams()),
    user: { name: 'u', groups },
    receivedMs: 7,
    auditId: 'a',
    userAgent: 'curl',
    request: { url: path },
    response: { statusCode: 503 },
    header: (name: string) => (name === 'traceparent' ? traceparent : ''),
    onClose: (callback: () => void) => (close = callback),
  } as unknown as Exchange;
  void tracingFilter(tracer)(exchange);
  assert.equal(ended, false);
  close();
  return { ...asked[0], set, ended, span: exchange.span };
}

test('a span is named by its route and tells what was answered', () => {
  const { name, options, set, ended, span } = pass('GET', '/api/v1/namespaces/a/pods/b/log', []);
  assert.equal(name, 'GET /api/v1/namespaces/{:namespace}/pods/{:name}/log');
  assert.equal(options?.startMs, 7);
  assert.ok(span && ended);
  assert.equal(set['http.status_code'], 503);
  assert.equal(set['audit-id'], 'a');
  assert.equal(set['failed'], true);
  assert.equal(
    pass('POST', '/apis/apps/v1/namespaces/a/deployments', []).name,
    'POST /apis/apps/v1/namespaces/{:namespace}/deployments',
  );
  assert.equal(pass('GET', '/healthz', []).name, 'GET');
});

test('only the trusted continue their own trace', () => {
  assert.deepEqual(pass('GET', '/api/v1/pods', ['system:masters']).options?.parent, header);
  assert.deepEqual(pass('GET', '/api/v1/pods', ['system:monitoring']).options?.parent, header);
  const other = pass('GET', '/api/v1/pods', ['system:authenticated']).options;
  assert.equal(other?.parent, undefined);
  assert.equal(other?.link, header);
});
