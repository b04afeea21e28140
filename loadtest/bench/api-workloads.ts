import { randomBytes } from 'node:crypto';
import type { ApiClient } from './api-client.ts';
import { configMap, configMaps, pods } from './api-objects.ts';

export interface ApiWorkload {
  readonly name: string;
  /** Numbers of clients it is run with. */
  readonly clients: readonly number[];
  /** Uses the pods of the list. */
  readonly needsPods?: boolean;
  /** `index` counts up in a run; `run` differs between runs. */
  operation(client: ApiClient, index: number, run: string): Promise<unknown>;
}

const one = 1;
const many = 32;
/** Objects that updates go round; fewer than there are, so that they stay warm on both sides. */
const updatedObjects = 100;
const protobuf = 'application/vnd.kubernetes.protobuf';

const turn = (): string => randomBytes(4).toString('hex');
const dropped = { keepBody: false };

/** `objects` ConfigMaps and `podCount` pods are there. */
export function apiWorkloads(objects: number, podCount: number): ApiWorkload[] {
  const some = (index: number): string => `${configMaps}/cm-${(index * 7919) % objects}`;
  const updated = (index: number): string => `cm-${index % Math.min(objects, updatedObjects)}`;
  const list = (query: string, accept?: string) => (client: ApiClient) =>
    client.expect(200, 'GET', `${pods}${query}`, undefined, {
      keepBody: false,
      ...(accept === undefined ? {} : { accept }),
    });
  return [
    {
      name: 'GET',
      clients: [one, many],
      operation: (client, index) => client.expect(200, 'GET', some(index), undefined, dropped),
    },
    {
      name: 'GET, resourceVersion=0',
      clients: [one, many],
      operation: (client, index) =>
        client.expect(200, 'GET', `${some(index)}?resourceVersion=0`, undefined, dropped),
    },
    {
      name: `LIST of ${podCount} pods, resourceVersion=0`,
      clients: [one, 4],
      needsPods: true,
      operation: list('?resourceVersion=0'),
    },
    { name: `LIST of ${podCount} pods, consistent`, clients: [one], needsPods: true, operation: list('') },
    {
      name: `LIST of ${podCount} pods, protobuf`,
      clients: [one],
      needsPods: true,
      operation: list('?resourceVersion=0', protobuf),
    },
    {
      name: 'update',
      clients: [one, many],
      operation: (client, index) =>
        client.expect(
          200,
          'PUT',
          `${configMaps}/${updated(index)}`,
          configMap(updated(index), { turn: turn() }),
          dropped,
        ),
    },
    {
      name: 'merge patch',
      clients: [one, many],
      operation: (client, index) =>
        client.expect(
          200,
          'PATCH',
          `${configMaps}/${updated(index)}`,
          Buffer.from(JSON.stringify({ data: { turn: turn() } })),
          { keepBody: false, contentType: 'application/merge-patch+json' },
        ),
    },
    {
      name: 'create',
      clients: [one, many],
      operation: (client, index, run) =>
        client.expect(201, 'POST', configMaps, configMap(`new-${run}-${index}`, {}, 'new'), dropped),
    },
  ];
}
