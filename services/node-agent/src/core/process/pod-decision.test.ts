import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Container, PodSpec } from '../pod-shape.ts';
import type { ContainerRecord, ContainerState } from './container-record.ts';
import { containersOf, newRecord, rearm } from './container-record.ts';
import { decide } from './pod-decision.ts';
import { podStatus } from './pod-status.ts';

const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'i', ...more });
const running: ContainerState = { kind: 'running', id: 'x', pid: 1, startedMs: 0 };
const exited = (exitCode: number, finishedMs = 1000): ContainerState => ({
  kind: 'exited',
  id: 'x',
  startedMs: 0,
  finishedMs,
  exitCode,
  reason: exitCode === 0 ? 'Completed' : 'Error',
});

function records(spec: PodSpec, states: Record<string, ContainerState>): ContainerRecord[] {
  return containersOf(spec).map(({ kind, container: each }) => ({
    ...newRecord(kind, each),
    ...(states[each.name] ? { state: states[each.name] as ContainerState, started: true, ready: true } : {}),
  }));
}

function decided(spec: PodSpec, states: Record<string, ContainerState>, terminating = false) {
  const { start, stop, over } = decide({ spec, records: records(spec, states), nowMs: 5000, terminating });
  return { start, stop: stop.map((each) => each.name), over };
}

test('init containers go one by one, sidecars stay, then all main containers start', () => {
  const spec: PodSpec = {
    initContainers: [container('i1'), container('side', { restartPolicy: 'Always' }), container('i2')],
    containers: [container('a'), container('b')],
  };
  assert.deepEqual(decided(spec, {}).start, ['i1']);
  assert.deepEqual(decided(spec, { i1: running }).start, []);
  assert.deepEqual(decided(spec, { i1: exited(0) }).start, ['side']);
  assert.deepEqual(decided(spec, { i1: exited(0), side: running }).start, ['i2']);
  assert.deepEqual(decided(spec, { i1: exited(1) }).start, ['i1']);
  assert.deepEqual(decided(spec, { i1: exited(0), side: running, i2: exited(0) }).start, ['a', 'b']);
});

test('sidecars end when the main containers are through; a failed init container ends a pod that never restarts', () => {
  const spec: PodSpec = {
    restartPolicy: 'Never',
    initContainers: [container('side', { restartPolicy: 'Always' }), container('i')],
    containers: [container('a')],
  };
  assert.deepEqual(decided(spec, { side: running, i: exited(0), a: exited(0) }).stop, ['side']);
  assert.deepEqual(decided(spec, { side: running, i: exited(1) }), {
    start: [],
    stop: ['side'],
    over: false,
  });
  assert.equal(decided(spec, { side: exited(0), i: exited(1) }).over, true);
});

test('a pod that is deleted stops what runs, sidecars last', () => {
  const spec: PodSpec = {
    initContainers: [container('side', { restartPolicy: 'Always' })],
    containers: [container('a')],
  };
  assert.deepEqual(decided(spec, { side: running, a: running }, true).stop, ['a']);
  assert.deepEqual(decided(spec, { side: running, a: exited(0) }, true).stop, ['side']);
  assert.equal(decided(spec, { side: exited(0), a: exited(0) }, true).over, true);
});

test('restarts are put off for longer each time: at once, 10 s, 20 s … 300 s', () => {
  const record = newRecord('main', container('a'));
  const delays: number[] = [];
  for (let count = 0; count < 8; count++) {
    const state = exited(1, 1000) as ContainerState & { kind: 'exited' };
    record.notBeforeMs = state.finishedMs + record.backoffMs;
    delays.push(record.notBeforeMs - state.finishedMs);
    rearm(record, state);
  }
  assert.deepEqual(delays, [0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  assert.equal(record.restarts, 8);
});

function status(spec: PodSpec, list: ContainerRecord[], nowMs = 5000) {
  return podStatus({
    pod: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec } as never,
    records: list,
    nowMs,
    startedMs: 0,
    hostIp: '127.64.0.1',
    podIp: '127.64.0.2',
    prepared: true,
    terminating: false,
    time: (ms) => `t${ms}`,
  });
}

test('status: running and ready, crash loop, completed', () => {
  const spec: PodSpec = { containers: [container('a')] };
  const up = status(spec, records(spec, { a: running }));
  assert.equal(up.phase, 'Running');
  assert.equal(up.podIP, '127.64.0.2');
  assert.equal(up.conditions.find((each) => each.type === 'Ready')?.status, 'True');

  const crashed = records(spec, { a: exited(3) });
  (crashed[0] as ContainerRecord).notBeforeMs = 11_000;
  const [loop] = status(spec, crashed).containerStatuses ?? [];
  assert.deepEqual(loop?.state.waiting, {
    reason: 'CrashLoopBackOff',
    message: 'back-off 10s restarting failed container=a pod=p_n(u)',
  });
  assert.equal(loop?.lastState.terminated?.exitCode, 3);

  const done = status({ ...spec, restartPolicy: 'Never' }, records(spec, { a: exited(0) }));
  assert.equal(done.phase, 'Succeeded');
  assert.equal(done.conditions.find((each) => each.type === 'Ready')?.reason, 'PodCompleted');
});
