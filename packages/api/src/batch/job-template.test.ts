import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import type { StrategyContext } from '../strategy.ts';
import { jobStrategy } from './job.ts';

interface Shape {
  readonly spec?: object;
  readonly podSpec?: object;
  readonly container?: object;
  readonly status?: object;
}

function job({ spec, podSpec, container, status }: Shape = {}): KubeObject {
  const made: KubeObject = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j', namespace: 'n', uid: 'u' },
    spec: {
      suspend: true,
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i', ...container }], ...podSpec },
      },
      ...spec,
    },
  };
  jobStrategy.defaults?.(made);
  jobStrategy.prepareForCreate?.(made, {} as StrategyContext);
  made['status'] = status ?? {};
  return made;
}

const fields = (now: KubeObject, old: KubeObject): string[] =>
  (jobStrategy.validateUpdate?.(now, old, {} as StrategyContext) ?? []).map(
    (each) => `${each.field} ${each.message.split(': ').at(-1)}`,
  );

const resources = { resources: { requests: { cpu: '1' } } };

test('a suspended job without pods may be scheduled and sized otherwise', () => {
  assert.deepEqual(fields(job({ container: resources }), job()), []);
  assert.deepEqual(fields(job({ podSpec: { nodeSelector: { a: 'b' } } }), job()), []);
  const affinity = {
    nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] },
  };
  assert.deepEqual(fields(job({ podSpec: { affinity } }), job()), []);
  const stopped = { startTime: '2026-01-02T03:04:05Z', conditions: [{ type: 'Suspended', status: 'True' }] };
  assert.deepEqual(fields(job({ container: resources, status: stopped }), job({ status: stopped })), []);
});

test('nothing else of its template changes, and nothing at all of a job with pods', () => {
  assert.deepEqual(fields(job({ container: { image: 'other' } }), job()), [
    'spec.template.spec field is immutable',
  ]);
  const started = { status: { startTime: '2026-01-02T03:04:05Z' } };
  assert.deepEqual(fields(job({ container: resources, ...started }), job(started)), [
    'spec.template field is immutable',
  ]);
  const active = { status: { active: 1 } };
  assert.deepEqual(fields(job({ podSpec: { nodeSelector: { a: 'b' } }, ...active }), job(active)), [
    'spec.template field is immutable',
  ]);
});

test('completions of an indexed job follow its parallelism', () => {
  const indexed = (completions: number, parallelism: number): KubeObject =>
    job({ spec: { completionMode: 'Indexed', completions, parallelism } });
  assert.deepEqual(fields(indexed(3, 3), indexed(2, 2)), []);
  assert.deepEqual(fields(indexed(3, 2), indexed(2, 2)), [
    'spec.completions can only be modified in tandem with spec.parallelism',
  ]);
});
