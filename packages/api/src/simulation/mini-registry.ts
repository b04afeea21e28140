import type { FieldError, KubeObject, MessageSchema, TypeRef } from '@pilothouse/apimachinery';
import {
  applyMergePatch,
  applyStrategicMergePatch,
  FieldPath,
  parseQuantity,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from '@pilothouse/apimachinery';
import { builtinResources, builtinSchemas, featureGates, strategies, strategyKey } from '../index.ts';
import type { ResourceStrategy, StrategyContext, UpdateHooks } from '../index.ts';
import { clone } from '../validation/values.ts';
import { defaultColumns } from '../table/columns.ts';

/** A registry without storage, admission or HTTP, good enough to compare strategies with recorded answers. For tests only. */

export interface Answer {
  readonly status: number;
  readonly object?: KubeObject;
  readonly errors?: readonly FieldError[];
  readonly warnings: readonly string[];
}

interface Target {
  readonly strategy: ResourceStrategy;
  readonly message: MessageSchema;
  readonly namespaced: boolean;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
}

const scalarZero: Readonly<Record<string, unknown>> = {
  string: '',
  bool: false,
  int32: 0,
  int64: 0,
  double: 0,
  bytes: '',
};

/** Drops nulls and writes quantities canonically, as the decoder does. */
export function decode(value: unknown, type: TypeRef): unknown {
  if (value === null || value === undefined) return undefined;
  switch (type.kind) {
    case 'special':
      if (type.special === 'Quantity') return parseQuantity(value as string).toString();
      return value;
    case 'list':
      return (value as unknown[]).map((each) => decode(each, type.element) ?? zeroOf(type.element));
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, each]) => [
          key,
          decode(each, type.value) ?? zeroOf(type.value),
        ]),
      );
    case 'message': {
      const message = builtinSchemas.message(type.message);
      return message === undefined ? value : decodeMessage(value as Record<string, unknown>, message);
    }
    default:
      return value;
  }
}

const zeroOf = (type: TypeRef): unknown =>
  type.kind === 'scalar'
    ? scalarZero[type.scalar]
    : type.kind === 'special'
      ? type.special === 'Quantity'
        ? '0'
        : null
      : {};

function decodeMessage(value: Record<string, unknown>, message: MessageSchema): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  if (message.typeMeta === true || message.gvk !== undefined)
    for (const key of ['apiVersion', 'kind']) if (value[key] !== undefined) out[key] = value[key];
  for (const field of message.fields) {
    if (field.inline === true && field.name === '') {
      if (field.type.kind === 'message')
        Object.assign(out, decodeMessage(value, builtinSchemas.message(field.type.message) as MessageSchema));
      continue;
    }
    const decoded = decode(value[field.name], field.type);
    if (decoded !== undefined) out[field.name] = decoded;
  }
  return out;
}

/** The JSON output rule of the contract. */
export function encodeMessage(
  value: Record<string, unknown>,
  message: MessageSchema,
): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const key of ['apiVersion', 'kind']) if (value[key] !== undefined) out[key] = value[key];
  for (const field of message.fields) {
    if (field.inline === true && field.name === '') {
      if (field.type.kind === 'message')
        Object.assign(out, encodeMessage(value, builtinSchemas.message(field.type.message) as MessageSchema));
      continue;
    }
    const now = value[field.name] ?? undefined;
    const { type } = field;
    if (field.pointer === true) {
      if (now !== undefined) out[field.name] = encode(now, type);
      else if (field.emit === true) out[field.name] = null;
      continue;
    }
    if (type.kind === 'message' || type.kind === 'special') {
      const zero =
        type.kind === 'message'
          ? {}
          : type.special === 'Quantity'
            ? '0'
            : type.special === 'IntOrString'
              ? 0
              : null;
      if (
        type.kind === 'message' &&
        type.message.startsWith('k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta')
      ) {
        out[field.name] = now ?? {};
        continue;
      }
      const encoded = now === undefined ? undefined : encode(now, type);
      const isZero = encoded === undefined || JSON.stringify(encoded) === JSON.stringify(zero);
      if (!isZero) out[field.name] = encoded;
      else if (field.emit === true)
        out[field.name] =
          type.kind === 'message'
            ? encodeMessage({}, builtinSchemas.message(type.message) as MessageSchema)
            : zero;
      continue;
    }
    if (type.kind === 'list' || type.kind === 'map') {
      const empty = now === undefined || Object.keys(now as object).length === 0;
      if (!empty) out[field.name] = encode(now, type);
      else if (field.emit === true) out[field.name] = null;
      continue;
    }
    if (now !== undefined && now !== scalarZero[type.scalar]) out[field.name] = now;
    else if (field.emit === true) out[field.name] = type.scalar === 'bytes' ? null : scalarZero[type.scalar];
  }
  return out;
}

function encode(value: unknown, type: TypeRef): unknown {
  switch (type.kind) {
    case 'list':
      return (value as unknown[]).map((each) => encode(each, type.element));
    case 'map':
      return Object.fromEntries(
        Object.entries(value as object).map(([key, each]) => [key, encode(each, type.value)]),
      );
    case 'message': {
      const message = builtinSchemas.message(type.message);
      return message === undefined ? value : encodeMessage(value as Record<string, unknown>, message);
    }
    default:
      return value;
  }
}

export const testContext: StrategyContext = {
  now: '2030-01-01T00:00:00Z',
  nowMicro: '2030-01-01T00:00:00.000000Z',
  user: { name: 'admin', uid: '1', groups: ['system:masters', 'system:authenticated'] },
  dryRun: false,
  namespace: '',
  featureEnabled: (gate) => featureGates[gate]?.default ?? false,
};

/** What admission does to a pod with a stock configuration; recorded diffs count its lines. */
function admitPod(pod: KubeObject): void {
  const spec = pod['spec'];
  if (spec.containers === undefined) return;
  const name = 'kube-api-access-xxxxx';
  spec.serviceAccountName ??= 'default';
  spec.serviceAccount ??= spec.serviceAccountName;
  spec.priority ??= 0;
  spec.preemptionPolicy ??= 'PreemptLowerPriority';
  spec.volumes = [
    ...(spec.volumes ?? []),
    {
      name,
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 420,
      },
    },
  ];
  for (const container of [...spec.containers, ...(spec.initContainers ?? [])])
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
    ];
  const tolerations = ['not-ready', 'unreachable'].map((each) => ({
    key: `node.kubernetes.io/${each}`,
    operator: 'Exists',
    effect: 'NoExecute',
    tolerationSeconds: 300,
  }));
  spec.tolerations = [...(spec.tolerations ?? []), ...tolerations];
}

export class MiniRegistry {
  /** Whether pods get what a stock configuration's admission adds. */
  admits = true;
  #objects = new Map<string, KubeObject>();
  #uid = 0;

  /** What a path names, or undefined when it is no plain path of a built-in kind in its storage version. */
  target(path: string): Target | undefined {
    const segments: string[] = (path.split('?')[0] as string).split('/').filter((each) => each !== '');
    let group = '';
    let version: string | undefined;
    if (segments[0] === 'api') {
      version = segments[1];
      segments.splice(0, 2);
    } else if (segments[0] === 'apis') {
      group = segments[1] ?? '';
      version = segments[2];
      segments.splice(0, 3);
    } else return undefined;
    let namespace = '';
    const [head] = segments as readonly string[];
    if (
      head === 'namespaces' &&
      segments.length > 2 &&
      !['status', 'finalize'].includes(segments[2] as string)
    ) {
      namespace = segments[1] as string;
      segments.splice(0, 2);
    }
    const [resource = '', name = '', subresource = ''] = segments;
    const strategy = strategies.get(strategyKey(group, resource));
    if (strategy === undefined || strategy.version !== version) return undefined;
    const message = builtinSchemas.kind(group, version, strategy.kind);
    const facts = builtinResources.find(
      (each) => each.group === group && each.plural === resource && each.version === version,
    );
    if (message === undefined || facts === undefined) return undefined;
    return { strategy, message, namespaced: facts.namespaced, namespace, name, subresource };
  }

  #key(target: Target, name = target.name): string {
    return `${strategyKey(target.strategy.group, target.strategy.resource)}/${target.namespace}/${name}`;
  }

  create(target: Target, body: unknown): Answer {
    const { strategy, message, namespaced, namespace } = target;
    const early: string[] = [];
    const context = { ...testContext, namespace, addWarning: (text: string) => void early.push(text) };
    const object = decodeMessage(clone(body) as Record<string, unknown>, message) as unknown as KubeObject;
    object.metadata = (object.metadata as KubeObject['metadata'] | undefined) ?? {};
    strategy.defaults?.(object);
    if (namespaced) object.metadata.namespace = namespace;
    object.metadata.uid = `00000000-0000-4000-8000-${String((this.#uid += 1)).padStart(12, '0')}`;
    object.metadata.creationTimestamp = context.now;
    delete object.metadata.managedFields;
    strategy.prepareForCreate?.(object, context);
    if (strategy.kind === 'Pod' && this.admits) admitPod(object);
    if (
      strategy.kind === 'Service' &&
      object['spec'].type !== 'ExternalName' &&
      object['spec'].clusterIP === undefined &&
      object['spec'].clusterIPs === undefined
    ) {
      object['spec'].clusterIP = '10.0.0.9';
      object['spec'].clusterIPs = ['10.0.0.9'];
    }
    const errors = [
      ...validateObjectMeta(object.metadata, {
        namespaced,
        ...(strategy.validateName && { nameRule: strategy.validateName }),
      }),
      ...(strategy.validate?.(object, context) ?? []),
    ];
    if (errors.length > 0) return { status: 422, errors, warnings: early };
    const warnings = [...early, ...(strategy.warningsOnCreate?.(object, context) ?? [])];
    strategy.canonicalize?.(object);
    object.metadata.resourceVersion = '1';
    this.#objects.set(this.#key(target, object.metadata.name), object);
    return { status: 201, object: encodeMessage(object, message) as unknown as KubeObject, warnings };
  }

  update(target: Target, change: (old: KubeObject) => KubeObject): Answer | undefined {
    const { strategy, message, namespace, subresource } = target;
    const old = this.#objects.get(this.#key(target));
    if (old === undefined) return undefined;
    const hooks: UpdateHooks | undefined =
      subresource === '' ? strategy : strategy.subresources?.[subresource];
    if (hooks === undefined) return undefined;
    const context = { ...testContext, namespace };
    const object = decodeMessage(
      change(clone(old)) as unknown as Record<string, unknown>,
      message,
    ) as unknown as KubeObject;
    strategy.defaults?.(object);
    object.metadata.uid ??= old.metadata.uid as string;
    object.metadata.resourceVersion ??= '1';
    if (object.metadata.generation === undefined && old.metadata.generation !== undefined)
      object.metadata.generation = old.metadata.generation;
    object.metadata.creationTimestamp = old.metadata.creationTimestamp as string;
    if (old.metadata.namespace !== undefined) object.metadata.namespace ??= old.metadata.namespace;
    hooks.prepareForUpdate?.(object, old, context);
    const errors = [
      // Upstream checks metadata twice, in the generic registry and in the kind's validation.
      ...validateObjectMetaUpdate(object.metadata, old.metadata),
      ...validateObjectMetaUpdate(object.metadata, old.metadata),
      ...(hooks.validateUpdate?.(object, old, context) ?? []),
    ];
    if (errors.length > 0) return { status: 422, errors, warnings: [] };
    const warnings = hooks.warningsOnUpdate?.(object, old, context) ?? [];
    strategy.canonicalize?.(object);
    this.#objects.set(this.#key(target), object);
    return { status: 200, object: encodeMessage(object, message) as unknown as KubeObject, warnings };
  }

  patch(target: Target, contentType: string, body: unknown): Answer | undefined {
    return this.update(target, (old) => {
      if (contentType === 'application/merge-patch+json')
        return applyMergePatch(old as never, body as never) as unknown as KubeObject;
      if (contentType === 'application/strategic-merge-patch+json')
        return applyStrategicMergePatch(old as never, body as never, {
          registry: builtinSchemas,
          message: target.message,
        }) as unknown as KubeObject;
      throw new Error(`unknown patch type ${contentType}`);
    });
  }

  get(target: Target): KubeObject | undefined {
    return this.#objects.get(this.#key(target));
  }

  list(target: Target): KubeObject[] {
    const prefix =
      target.namespaced && target.namespace === ''
        ? `${strategyKey(target.strategy.group, target.strategy.resource)}/`
        : this.#key(target, '');
    return [...this.#objects.entries()]
      .filter(([key]) => key.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => object);
  }
}

export function tableOf(
  strategy: ResourceStrategy,
  objects: readonly KubeObject[],
  nowMs: number,
): { columnDefinitions: unknown[]; rows: { cells: unknown[]; conditions?: unknown }[] } {
  return {
    columnDefinitions: [...(strategy.columns ?? defaultColumns)],
    rows: objects.map((object) => {
      const conditions = strategy.rowConditions?.(object);
      return {
        cells: strategy.cells?.(object, nowMs) ?? [object.metadata.name, object.metadata.creationTimestamp],
        ...(conditions === undefined ? {} : { conditions }),
      };
    }),
  };
}

export const rootPath = new FieldPath();
