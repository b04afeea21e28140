import type { TableColumn } from '../strategy.ts';

/** Descriptions of the two columns that nearly all tables share; clients see them in the Table's columnDefinitions. */
export const nameText =
  'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names';
const ageText =
  'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata';

/** A column of a table; descriptions are facts of Kubernetes 1.36. */
export function column(
  name: string,
  type: TableColumn['type'],
  priority: number,
  description: string,
  format = '',
): TableColumn {
  return { name, type, format, description, priority };
}
export const name = column('Name', 'string', 0, nameText, 'name');
export const age = column('Age', 'string', 0, ageText);
export const createdAt = column('Created At', 'date', 0, ageText);
