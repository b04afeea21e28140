import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '@pilothouse/base';
import { clientMetrics, queueMetrics } from './client-metrics.ts';
import { Metrics } from './metrics.ts';
import { registerProcessMetrics } from './process-metrics.ts';

test('work queues are counted by what happens to their keys', () => {
  let nowMs = 0;
  const clock = { monotonic: () => nowMs } as Clock;
  const metrics = new Metrics();
  const queue = queueMetrics(metrics, clock)('deployment');
  queue.added('a');
  queue.added('b');
  nowMs = 500;
  queue.taken('a');
  nowMs = 2500;
  const during = metrics.render();
  assert.match(during, /^workqueue_depth\{name="deployment"\} 1$/m);
  assert.match(during, /^workqueue_unfinished_work_seconds\{name="deployment"\} 2$/m);
  queue.retried();
  queue.done('a');
  const after = metrics.render();
  assert.match(after, /^workqueue_adds_total\{name="deployment"\} 2$/m);
  assert.match(after, /^workqueue_retries_total\{name="deployment"\} 1$/m);
  assert.match(after, /^workqueue_queue_duration_seconds_sum\{name="deployment"\} 0.5$/m);
  assert.match(after, /^workqueue_work_duration_seconds_bucket\{name="deployment",le="1"\} 0$/m);
  assert.match(after, /^workqueue_work_duration_seconds_bucket\{name="deployment",le="10"\} 1$/m);
  assert.match(after, /^workqueue_longest_running_processor_seconds\{name="deployment"\} 0$/m);
});

test('requests of a client are counted by code, host and method', () => {
  const metrics = new Metrics();
  const { request } = clientMetrics(metrics);
  request({ host: 'api:443', method: 'GET', code: '200', seconds: 0.02, bytes: 0 });
  request({ host: 'api:443', method: 'GET', code: '<error>', seconds: 0.02, bytes: 0 });
  const text = metrics.render();
  assert.match(text, /^rest_client_requests_total\{code="200",host="api:443",method="GET"\} 1$/m);
  assert.match(text, /^rest_client_requests_total\{code="<error>",host="api:443",method="GET"\} 1$/m);
  assert.match(
    text,
    /^rest_client_request_duration_seconds_bucket\{host="api:443",verb="GET",le="0.025"\} 2$/m,
  );
});

test('every component tells of its process and its version', () => {
  const metrics = new Metrics();
  registerProcessMetrics(metrics, 'kube-scheduler');
  const text = metrics.render();
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_start_time_seconds',
  ])
    assert.match(text, new RegExp(`^${name} [0-9.]+$`, 'm'));
  assert.match(text, /^kubernetes_build_info\{.*git_version="v1\.36\.3".*\} 1$/m);
  assert.match(
    text,
    /^version_info\{binary="1.36",component="kube-scheduler",emulation="1.36",min_compat="1.35"\} 1$/m,
  );
});
