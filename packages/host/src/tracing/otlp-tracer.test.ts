import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OtlpCollector } from '@pilothouse/testkit';
import { otlpEndpoint } from './otlp-endpoint.ts';
import { createOtlpTracer } from './otlp-tracer.ts';

const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const callerTrace = Buffer.from('0af7651916cd43dd8448eb211c80319c', 'hex');

const collector = new OtlpCollector();
before(() => collector.start());
after(() => collector.stop());

const tracerOf = (samplingRatePerMillion: number) =>
  createOtlpTracer({
    endpoint: otlpEndpoint(`localhost:${collector.port}`),
    samplingRatePerMillion,
    serviceName: 'probe',
    instanceId: 'one',
  });

test('a span of a caller stays in its trace, whatever the rate, and arrives with its children', async () => {
  collector.received.length = 0;
  const tracer = await tracerOf(0);
  assert.equal(tracer.start('not recorded'), undefined);
  const span = tracer.start('GET /api/v1/pods', { kind: 'server', parent: caller });
  assert.ok(span);
  assert.match(span.traceparent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  const child = span.child('list etcd3', 'client', { key: '/registry/pods/' });
  assert.notEqual(child.traceparent, span.traceparent);
  child.end();
  span.set('http.status_code', 200);
  span.end();
  await tracer.close();
  const sent = Buffer.concat(collector.received);
  for (const text of ['/registry/pods/', 'http.status_code']) assert.ok(sent.includes(text), text);
  const [inner, outer, ...others] = collector.spans;
  assert.deepEqual(others, []);
  assert.deepEqual(
    { name: outer?.name, parent: outer?.parentId, trace: outer?.traceId, service: outer?.service },
    {
      name: 'GET /api/v1/pods',
      parent: 'b7ad6b7169203331',
      trace: '0af7651916cd43dd8448eb211c80319c',
      service: 'probe',
    },
  );
  assert.equal(inner?.name, 'list etcd3');
  assert.equal(inner?.parentId, outer?.spanId);
});

test('a caller who is not trusted gets a trace of ours that tells of his', async () => {
  collector.received.length = 0;
  const never = await tracerOf(0);
  assert.equal(never.start('x', { link: caller }), undefined, 'his choice counts for nothing');
  const tracer = await tracerOf(1_000_000);
  const span = tracer.start('linked', { link: caller });
  assert.ok(span);
  assert.ok(!span.traceparent.includes('0af7651916cd43dd8448eb211c80319c'));
  span.end();
  await tracer.close();
  await never.close();
  assert.ok(Buffer.concat(collector.received).includes(callerTrace));
});

test('a malformed or unsampled header is nobody’s trace', async () => {
  const tracer = await tracerOf(0);
  for (const parent of [
    '',
    'x',
    caller.replace('00-', '01-'),
    caller.replace('-01', '-00'),
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  ])
    assert.equal(tracer.start('x', { parent }), undefined, parent);
  await tracer.close();
});

test('endpoints', () => {
  assert.equal(otlpEndpoint('localhost:4317'), 'http://localhost:4317');
  assert.equal(otlpEndpoint('dns:///collector:4317'), 'http://collector:4317');
  assert.equal(otlpEndpoint('[::1]:4317'), 'http://[::1]:4317');
  assert.equal(otlpEndpoint('unix:///run/otlp.sock'), 'unix:///run/otlp.sock');
  assert.throws(() => otlpEndpoint('ftp://a:1'), /unsupported scheme "ftp"/);
  assert.throws(() => otlpEndpoint('localhost'), /no host and port/);
});
