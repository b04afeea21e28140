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

/** What the containers of a template are, for everything that has one. */
export const containerColumns = (priority: number): TableColumn[] => [
  column('Containers', 'string', priority, 'Names of each container in the template.'),
  column('Images', 'string', priority, 'Images referenced by each container in the template.'),
];

/** Of an event, in both groups that have it. */
export const eventColumns: readonly TableColumn[] = [
  column(
    'Last Seen',
    'string',
    0,
    'The time at which the most recent occurrence of this event was recorded.',
  ),
  column('Type', 'string', 0, 'Type of this event (Normal, Warning), new types could be added in the future'),
  column(
    'Reason',
    'string',
    0,
    "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
  ),
  column('Object', 'string', 0, 'The object that this event is about.'),
  column(
    'Subobject',
    'string',
    1,
    'If referring to a piece of an object instead of an entire object, this string should contain a valid JSON/Go field access statement, such as desiredState.manifest.containers[2]. For example, if the object reference is to a container within a pod, this would take on a value like: "spec.containers{name}" (where "name" refers to the name of the container that triggered the event) or if no container name is specified "spec.containers[2]" (container with index 2 in this pod). This syntax is chosen only to have some well-defined way of referencing a part of an object.',
  ),
  column(
    'Source',
    'string',
    1,
    'The component reporting this event. Should be a short machine understandable string.',
  ),
  column('Message', 'string', 0, 'A human-readable description of the status of this operation.'),
  column(
    'First Seen',
    'string',
    1,
    'The time at which the event was first recorded. (Time of server receipt is in TypeMeta.)',
  ),
  column('Count', 'string', 1, 'The number of times this event has occurred.'),
];
