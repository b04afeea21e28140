import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { otlpEndpoint } from './otlp-endpoint.ts';
import { createOtlpTracer } from './otlp-tracer.ts';

const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const callerTrace = Buffer.from('0af7651916cd43dd8448eb211c80319c', 'hex');

/** Keeps what an exporter sends, undecoded. */
class Collector {
  readonly #server = new Server();
  readonly received: Buffer[] = [];
  port = 0;

  async start(): Promise<void> {
    const bytes = (value: Buffer): Buffer => value;
    const exportTraces = {
      path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    } as const;
    this.#server.addService(
      { export: exportTraces },
      {
        export: (call: { request: Buffer }, done: (error: null, value: Buffer) => void) => {
          this.received.push(call.request);
          done(null, Buffer.alloc(0));
        },
      },
    );
    this.port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

const collector = new Collector();
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
  for (const text of ['probe', 'GET /api/v1/pods', 'list etcd3', '/registry/pods/', 'http.status_code'])
    assert.ok(sent.includes(text), text);
  assert.ok(sent.includes(callerTrace));
  assert.ok(!sent.includes('not recorded'));
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
