import type { KubeObject } from '@pilothouse/apimachinery';
import { goQuote, parseExact, statusErrors } from '@pilothouse/apimachinery';
import type { TableColumn } from '@pilothouse/api';
import type { RestStorage, Stored } from '../registry/rest/rest-storage.ts';
import { responseKindOf } from './call.ts';

/** How much of an object a Table row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

/** metadata of a list, in wire order. */
export interface ListMeta {
  resourceVersion?: string;
  continue?: string;
  remainingItemCount?: number;
}

/** `includeObject` of the query; Metadata when absent. Throws 400. */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') ?? '';
  if (value === '') return 'Metadata';
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value;
  throw statusErrors.badRequest(
    `Unable to convert to Table as requested: includeObject: Invalid value: ${goQuote(value)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** Kept as annotations only in apps/v1 and autoscaling/v1; views show objects as they are inside the server, which has fields for them. */
const templateGeneration = 'deprecated.daemonset.template.generation';

const autoscalerPrefix = 'autoscaling.alpha.kubernetes.io/';

function withoutInternal({ apiVersion, kind, metadata }: KubeObject): KubeObject['metadata'] {
  const isInternal =
    kind === 'DaemonSet'
      ? (name: string): boolean => name === templateGeneration
      : kind === 'HorizontalPodAutoscaler' && apiVersion === 'autoscaling/v1'
        ? (name: string): boolean => name.startsWith(autoscalerPrefix)
        : undefined;
  if (isInternal === undefined || metadata.annotations === undefined) return metadata;
  const kept = Object.entries(metadata.annotations).filter(([name]) => !isInternal(name));
  const annotations = Object.fromEntries(kept);
  const { annotations: _, ...rest } = metadata;
  return Object.keys(annotations).length > 0 ? { ...rest, annotations } : rest;
}

/** The metadata of an object alone. */
export function partialMetadata(object: KubeObject, version: string): object {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: withoutInternal(object),
  };
}

export function partialMetadataList(items: Iterable<Stored>, meta: ListMeta, version: string): object {
  const list: object[] = [];
  for (const item of items) list.push(partialMetadata(item.object, version));
  return {
    kind: 'PartialObjectMetadataList',
    apiVersion: `meta.k8s.io/${version}`,
    metadata: meta,
    items: list.length > 0 ? list : null,
  };
}

const defaultColumns: readonly TableColumn[] = [
  { name: 'Name', type: 'string', format: 'name', description: nameDescription(), priority: 0 },
  {
    name: 'Created At',
    type: 'date',
    format: '',
    description: creationDescription(),
    priority: 0,
  },
];

/** Descriptions are those of the ObjectMeta fields; clients show them in `--help`-like output. */
function nameDescription(): string {
  return 'Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names';
}

function creationDescription(): string {
  return 'CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata';
}

export interface TableRequest {
  readonly storage: RestStorage;
  readonly includeObject: IncludeObject;
  /** Of meta.k8s.io. */
  readonly version: string;
  readonly nowMs: number;
}

export function tableColumns(storage: RestStorage): readonly TableColumn[] {
  return storage.table?.columns ?? storage.strategy?.columns ?? defaultColumns;
}

function rowObject(request: TableRequest, stored: Stored): unknown {
  switch (request.includeObject) {
    case 'None':
      return null;
    case 'Metadata':
      return partialMetadata(stored.object, request.version);
    case 'Object':
      // The wire form has members that objects in memory leave out.
      return parseExact(Buffer.from(stored.json()).toString('utf8'));
  }
}

/** A pod that has ended is marked, so that clients may leave it out. */
function rowConditions(stored: Stored): object[] | undefined {
  const { kind, apiVersion } = stored.object;
  if (kind !== 'Pod' || apiVersion !== 'v1') return undefined;
  const phase = stored.object['status']?.phase as string | undefined;
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  const message = phase === 'Failed' ? 'The pod failed.' : 'The pod has completed successfully.';
  return [{ type: 'Completed', status: 'True', reason: phase, message }];
}

export function tableRow(request: TableRequest, stored: Stored): object {
  const { storage, nowMs } = request;
  const cells = storage.table?.cells?.(stored.object, nowMs) ??
    storage.strategy?.cells?.(stored.object, nowMs) ?? [
      stored.object.metadata.name ?? '',
      stored.object.metadata.creationTimestamp ?? null,
    ];
  const conditions = rowConditions(stored);
  return { cells, ...(conditions ? { conditions } : {}), object: rowObject(request, stored) };
}

const defaultNames = defaultColumns.map((column) => column.name).join();
const isDefault = (columns: readonly TableColumn[]): boolean =>
  columns === defaultColumns || columns.map((column) => column.name).join() === defaultNames;

/** A Table of all rows. `columns` false leaves the definitions out, as in all but the first event of a watch. */
export function tableOf(
  request: TableRequest,
  rows: Iterable<Stored>,
  meta: ListMeta,
  columns = true,
): object {
  const compare = request.storage.strategy?.compareRows;
  const ordered =
    compare === undefined ? rows : [...rows].sort((one, two) => compare(one.object, two.object));
  const out: object[] = [];
  for (const stored of ordered) out.push(tableRow(request, stored));
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${request.version}`,
    metadata: meta,
    columnDefinitions: columns ? tableColumns(request.storage) : null,
    // Upstream's converter of kinds without columns of their own has no list where there are no rows.
    rows: out.length === 0 && isDefault(tableColumns(request.storage)) ? null : out,
  };
}

/** `*core.ConfigMap`: how an error names the type of the object behind a path. */
export function internalTypeName(storage: RestStorage, list: boolean): string {
  const { group, kind } = responseKindOf(storage.resource);
  const custom = group.includes('.') && !group.endsWith('.k8s.io');
  if (custom) return list ? '*unstructured.UnstructuredList' : '*unstructured.Unstructured';
  // Events of both groups are one internal type.
  const packageName = group === '' || group === 'events.k8s.io' ? 'core' : (group.split('.')[0] as string);
  return `*${packageName}.${kind}${list ? 'List' : ''}`;
}
