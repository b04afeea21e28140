import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { PodMachine } from './pod-machine.ts';
import type { PodStatus } from './pod-shape.ts';

const time = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
const environment = { hostIp: '172.30.0.11', podIp: '10.244.0.2', time };

function pod(spec: Record<string, unknown>, meta: Record<string, unknown> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'd', uid: 'u', generation: 1, ...meta },
    spec,
  };
}

/** Steps the machine through its own wake-ups until `untilMs`; gives the last status and the phases seen. */
function run(
  object: KubeObject,
  machine: PodMachine,
  fromMs: number,
  untilMs: number,
): { status: PodStatus; phases: string[] } {
  const phases: string[] = [];
  let now = fromMs;
  for (;;) {
    const step = machine.step(object, now);
    if (phases.at(-1) !== step.status.phase) phases.push(step.status.phase);
    if (step.wakeMs === undefined || step.wakeMs > untilMs) return { status: step.status, phases };
    assert.ok(step.wakeMs > now, 'a wake-up lies in the future');
    now = step.wakeMs;
  }
}

const condition = (status: PodStatus, type: string): string | undefined =>
  status.conditions.find((each) => each.type === type)?.status;

test('PodMachine brings a server to Running and Ready', () => {
  const { status, phases } = run(
    pod({ containers: [{ name: 'c', image: 'nginx' }] }),
    new PodMachine(environment, 0),
    0,
    60_000,
  );
  assert.deepEqual(phases, ['Pending', 'Running']);
  assert.equal(condition(status, 'Ready'), 'True');
  assert.equal(status.podIP, '10.244.0.2');
  assert.equal(status.observedGeneration, 1);
});

test('PodMachine ends a job pod as Succeeded, a failing one as Failed', () => {
  const spec = (command: string[]) => ({
    restartPolicy: 'Never',
    containers: [{ name: 'c', image: 'busybox', command }],
  });
  assert.deepEqual(
    run(pod(spec(['sh', '-c', 'sleep 2; exit 0'])), new PodMachine(environment, 0), 0, 60_000).phases,
    ['Pending', 'Running', 'Succeeded'],
  );
  const failed = run(pod(spec(['sh', '-c', 'exit 3'])), new PodMachine(environment, 0), 0, 60_000).status;
  assert.equal(failed.phase, 'Failed');
  assert.equal(failed.containerStatuses?.[0]?.state.terminated?.exitCode, 3);
});

test('PodMachine runs init containers in order and shows what it waits for', () => {
  const object = pod({
    initContainers: [{ name: 'a', image: 'busybox', command: ['sleep', '5'] }],
    containers: [{ name: 'c', image: 'nginx' }],
  });
  const machine = new PodMachine(environment, 0);
  const early = run(object, machine, 0, 1_000).status;
  assert.equal(early.phase, 'Pending');
  assert.equal(early.containerStatuses?.[0]?.state.waiting?.reason, 'PodInitializing');
  assert.equal(condition(early, 'Initialized'), 'False');
  assert.equal(run(object, machine, 5_100, 60_000).status.phase, 'Running');
});

test('PodMachine backs off a crashing container ever longer', () => {
  const object = pod({ containers: [{ name: 'c', image: 'busybox', command: ['false'] }] });
  const { status } = run(object, new PodMachine(environment, 0), 0, 40_000);
  assert.equal(status.phase, 'Running');
  const container = status.containerStatuses?.[0];
  assert.ok(
    (container?.restartCount ?? 0) >= 2 && (container?.restartCount ?? 0) <= 4,
    `restarts ${container?.restartCount}`,
  );
  assert.equal(container?.state.waiting?.reason, 'CrashLoopBackOff');
  assert.equal(container?.lastState.terminated?.exitCode, 1);
});

test('PodMachine never makes a pod with an unknown image ready', () => {
  const { status } = run(
    pod({ containers: [{ name: 'c', image: 'webserver:404' }] }),
    new PodMachine(environment, 0),
    0,
    30_000,
  );
  assert.equal(status.phase, 'Pending');
  assert.equal(status.containerStatuses?.[0]?.state.waiting?.reason, 'ImagePullBackOff');
});

test('PodMachine fails a pod past its active deadline', () => {
  const { status } = run(
    pod({ activeDeadlineSeconds: 3, containers: [{ name: 'c', image: 'nginx' }] }),
    new PodMachine(environment, 0),
    0,
    10_000,
  );
  assert.equal(status.phase, 'Failed');
  assert.equal(status.reason, 'DeadlineExceeded');
});

test('PodMachine keeps a deleted pod visible for a moment, then lets go', () => {
  const machine = new PodMachine(environment, 0);
  const object = pod({ containers: [{ name: 'c', image: 'nginx' }] });
  run(object, machine, 0, 1_000);
  const deleting = pod(
    { containers: [{ name: 'c', image: 'nginx' }] },
    { deletionTimestamp: time(2_000), deletionGracePeriodSeconds: 30 },
  );
  const first = machine.step(deleting, 2_000);
  assert.equal(first.terminated, false);
  assert.equal(first.status.phase, 'Running');
  assert.equal(machine.step(deleting, first.wakeMs ?? 0).terminated, true);
});

test('PodMachine restarts a container whose image changed', () => {
  const machine = new PodMachine(environment, 0);
  run(pod({ containers: [{ name: 'c', image: 'nginx:1' }] }), machine, 0, 1_000);
  const { status } = run(pod({ containers: [{ name: 'c', image: 'nginx:2' }] }), machine, 2_000, 3_000);
  assert.equal(status.containerStatuses?.[0]?.image, 'nginx:2');
  assert.equal(status.containerStatuses?.[0]?.restartCount, 1);
});

test('PodMachine does what the annotation of a pod says', () => {
  const object = (text: string): KubeObject =>
    pod(
      { restartPolicy: 'Never', containers: [{ name: 'c', image: 'nginx' }] },
      { annotations: { 'pilothouse.dev/simulated-run': text } },
    );
  const end = (text: string): PodStatus =>
    run(object(text), new PodMachine(environment, 0), 0, 60_000).status;
  assert.equal(end('2s').phase, 'Succeeded');
  assert.equal(end('500ms, exit=7').containerStatuses?.[0]?.state.terminated?.exitCode, 7);
  assert.equal(end('soon').phase, 'Running', 'what cannot be read changes nothing');
});
