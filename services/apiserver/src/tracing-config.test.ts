import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTracingConfig } from './tracing-config.ts';

const head = 'apiVersion: apiserver.config.k8s.io/v1beta1\nkind: TracingConfiguration\n';

test('a tracing configuration has upstream’s members and defaults', () => {
  assert.deepEqual(readTracingConfig(head), { endpoint: 'http://localhost:4317', samplingRatePerMillion: 0 });
  assert.deepEqual(readTracingConfig(`${head}endpoint: otel:9\nsamplingRatePerMillion: 100\n`), {
    endpoint: 'http://otel:9',
    samplingRatePerMillion: 100,
  });
});

test('what is wrong is named', () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['samplingRatePerMillion: -1', /Invalid value: -1: sampling rate must be positive/],
    ['samplingRatePerMillion: 1000001', /must be less than or equal to one million/],
    ['endpoint: http2://x:1', /tracing\.endpoint: Invalid value: "http2:\/\/x:1"/],
    ['sampling: 1', /unknown field "sampling"/],
  ];
  for (const [line, message] of refused)
    assert.throws(() => readTracingConfig(`${head}${line}\n`), { message });
});
