import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { indexesOverlap, indexesProblem } from './job-indexes.ts';
import { validateJobStatus } from './job-status.ts';

const job = (status: object, spec: object = {}): KubeObject => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'j', namespace: 'n' },
  spec: { completions: 5, parallelism: 1, completionMode: 'NonIndexed', ...spec },
  status,
});
const conditions = (...types: string[]): object[] => types.map((type) => ({ type, status: 'True' }));
const texts = (now: object, before: object, spec: object = {}): string[] =>
  validateJobStatus(job(now, spec), job(before, spec)).map((each) => `${each.field}: ${each.message}`);

test('a job does not end without saying how and when', () => {
  assert.deepEqual(texts({ conditions: conditions('Complete') }, {}), [
    'status.completionTime: Required value: completionTime is required for Complete jobs',
    'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
    'status.startTime: Required value: startTime is required for finished job',
  ]);
  assert.deepEqual(
    texts(
      {
        conditions: conditions('SuccessCriteriaMet', 'Complete'),
        startTime: '2026-01-02T03:04:05Z',
        completionTime: '2026-01-02T03:04:05Z',
        succeeded: 5,
      },
      { succeeded: 4, active: 1 },
    ),
    [],
  );
  assert.deepEqual(
    texts(
      {
        conditions: conditions('Failed'),
        startTime: '2026-01-02T03:04:05Z',
        active: 1,
        uncountedTerminatedPods: { failed: ['u'] },
      },
      {},
    ),
    [
      'status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition',
      'status.active: Invalid value: 1: active>0 is invalid for finished job',
      'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["u"]}: must be empty for finished job',
    ],
  );
});

test('what was told is not taken back', () => {
  assert.deepEqual(texts({ failed: 1 }, { failed: 2, conditions: conditions('FailureTarget') }), [
    'status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition',
    'status.failed: Invalid value: 1: cannot decrease the failed counter',
  ]);
  const started = { startTime: '2026-01-02T03:04:05Z' };
  assert.deepEqual(texts({}, started), [
    'status.startTime: Invalid value: null: field is immutable for unsuspended job once set',
  ]);
  assert.deepEqual(texts({}, started, { suspend: true }), []);
  const elastic = { completionMode: 'Indexed', completions: 2, parallelism: 2 };
  assert.deepEqual(texts({ succeeded: 1 }, { succeeded: 2 }, elastic), []);
});

test('what a write does not touch is not looked at', () => {
  const bad = { conditions: conditions('Complete'), completedIndexes: 'x' };
  assert.deepEqual(texts({ ...bad, failed: 1 }, bad), []);
});

test('indexes are told with the part that is wrong', () => {
  assert.equal(indexesProblem('0,2-4', 5), undefined);
  assert.equal(indexesProblem('2,1', 5), 'non-increasing order, previous: 2, current: 1');
  assert.equal(indexesProblem('3-3', 5), 'non-increasing order, previous: 3, current: 3');
  assert.equal(indexesProblem('0-5', 5), 'too large index: "5"');
  assert.equal(indexesProblem('a', 5), 'cannot convert string to integer for index: "a"');
  assert.match(indexesProblem('1-2-3', 5) ?? '', /^the fragment "1-2-3" violates/);
  assert.equal(indexesOverlap('0-3', '2,5', 9), 2);
  assert.equal(indexesOverlap('0,x,4', '1,5', 9), undefined);
});
