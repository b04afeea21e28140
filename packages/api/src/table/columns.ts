import type { TableColumn } from '../strategy.ts';
import { createdAt, name } from './column.ts';
import { controlColumns } from './control-columns.ts';
import { coreColumns } from './core-columns.ts';
import { networkColumns } from './network-columns.ts';
import { storageColumns } from './storage-columns.ts';
import { workloadColumns } from './workload-columns.ts';

/** What a kind without columns of its own shows. */
export const defaultColumns: readonly TableColumn[] = [name, createdAt];

/** The columns of kubectl's server-side tables by `group/resource`; facts of Kubernetes 1.36. */
export const columnsOf: Readonly<Record<string, readonly TableColumn[]>> = {
  ...coreColumns,
  ...workloadColumns,
  ...networkColumns,
  ...storageColumns,
  ...controlColumns,
};
