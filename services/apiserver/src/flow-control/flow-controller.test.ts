import assert from 'node:assert/strict';
import test from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { flowSchemas, mandatoryFlowControl, priorityLevels } from '../registry/bootstrap/flow-control.ts';
import { requestInfoOf } from '../request/request-info.ts';
import { FlowController } from './flow-controller.ts';
import { newTicket } from './ticket.ts';

const isMandatory = ({ metadata }: KubeObject): boolean => mandatoryFlowControl.has(metadata.name ?? '');

function controllerOf(objects: {
  levels: readonly KubeObject[];
  schemas: readonly KubeObject[];
}): FlowController {
  return new FlowController(
    {
      serverSeats: 600,
      flowSchemas: () => objects.schemas,
      priorityLevels: () => objects.levels,
      mandatoryLevels: priorityLevels.filter(isMandatory),
      mandatorySchemas: flowSchemas.filter(isMandatory),
    },
    0,
  );
}

const get = requestInfoOf('GET', '/api/v1/namespaces/a/pods/x', new URLSearchParams());
const work = { initialSeats: 1, finalSeats: 0, additionalLatencyMs: 0 };

test("the default objects give upstream's seats", () => {
  const { levels } = controllerOf({ levels: priorityLevels, schemas: flowSchemas });
  const seats = Object.fromEntries([...levels].map(([name, { settings }]) => [name, settings.nominalSeats]));
  assert.deepEqual(seats, {
    'catch-all': 13,
    exempt: 0,
    'global-default': 49,
    'leader-election': 25,
    'node-high': 98,
    system: 74,
    'workload-high': 98,
    'workload-low': 245,
  });
});

test('users are classified, also before the objects are known', () => {
  const objects: { levels: readonly KubeObject[]; schemas: readonly KubeObject[] } = {
    levels: [],
    schemas: [],
  };
  const controller = controllerOf(objects);
  const alice = { name: 'alice', groups: ['system:authenticated'] };
  const admin = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
  assert.equal(controller.classify(0, alice, get).level.name, 'catch-all');
  assert.equal(controller.classify(0, admin, get).level.name, 'exempt');
  Object.assign(objects, { levels: priorityLevels, schemas: flowSchemas });
  assert.equal(controller.classify(1000, alice, get).schemaName, 'global-default');
  const account = {
    name: 'system:serviceaccount:kube-system:x',
    groups: ['system:serviceaccounts', 'system:serviceaccounts:kube-system', 'system:authenticated'],
  };
  assert.equal(controller.classify(1000, account, get).schemaName, 'kube-system-service-accounts');
  assert.equal(controller.classify(1000, account, get), controller.classify(1001, account, get));
});

test('idle levels lend seats to one that wants more, and get them back', () => {
  const controller = controllerOf({ levels: priorityLevels, schemas: flowSchemas });
  const level = controller.levels.get('global-default');
  assert.ok(level);
  const tickets = Array.from({ length: 400 }, (_, index) =>
    newTicket({
      flowSchema: 'global-default',
      distinguisher: `user-${index}`,
      work,
      arrivedMs: 0,
      onDispatch: () => undefined,
      details: undefined,
    }),
  );
  for (const ticket of tickets) level.queue.arrive(0, ticket);
  level.noteDemand(0);
  assert.equal(level.queue.executing, 49);
  controller.maintain(10_000);
  assert.ok(level.currentSeats > 200, `${level.currentSeats} seats`);
  assert.equal(level.queue.executing, level.currentSeats);
  const total = [...controller.levels.values()].reduce((sum, each) => sum + each.currentSeats, 0);
  assert.ok(total <= 610, `${total} seats of 600`);
  for (const each of controller.levels.values()) assert.ok(each.currentSeats >= each.settings.minSeats);
  for (const ticket of tickets) {
    level.queue.finish(10_001, ticket);
    level.noteDemand(10_001);
  }
  assert.ok(level.queue.isIdle);
});

test('a level whose object is gone ends when it is idle', () => {
  const objects = { levels: priorityLevels, schemas: flowSchemas };
  const controller = controllerOf(objects);
  const level = controller.levels.get('system');
  assert.ok(level);
  const ticket = newTicket({
    flowSchema: 's',
    distinguisher: '',
    work,
    arrivedMs: 0,
    onDispatch: () => undefined,
    details: undefined,
  });
  level.queue.arrive(0, ticket);
  objects.levels = priorityLevels.filter(({ metadata }) => metadata.name !== 'system');
  controller.maintain(1000);
  assert.ok(controller.levels.get('system')?.isQuiescing);
  level.queue.finish(1001, ticket);
  controller.maintain(2000);
  assert.equal(controller.levels.get('system'), undefined);
});
