import type { KubeObject } from '@pilothouse/apimachinery';
import type { TableColumn } from '../strategy.ts';
import { ageOf, nameOf } from './cells.ts';
import { columnsOf } from './columns.ts';

const description = (key: string, name: string): string =>
  columnsOf[key]?.find((column) => column.name === name)?.description ?? '';

/** The table of the scale subresource, the same for all that can be scaled. */
export const scaleColumns: readonly TableColumn[] = [
  { name: 'Name', type: 'string', format: '', description: description('/pods', 'Name'), priority: 0 },
  {
    name: 'Desired',
    type: 'integer',
    format: '',
    description: 'replicas is the desired number of instances for the scaled object.',
    priority: 0,
  },
  {
    name: 'Available',
    type: 'integer',
    format: '',
    description: 'replicas is the actual number of observed instances of the scaled object.',
    priority: 0,
  },
  { name: 'Age', type: 'string', format: '', description: description('/pods', 'Age'), priority: 0 },
];

export function scaleCells(scale: KubeObject, nowMs: number): unknown[] {
  return [nameOf(scale), scale['spec']?.replicas ?? 0, scale['status']?.replicas ?? 0, ageOf(scale, nowMs)];
}
