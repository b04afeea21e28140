import type { KubeObject, Status } from '@pilothouse/apimachinery';
import { StatusError, statusErrors, withCondition } from '@pilothouse/apimachinery';
import { deepClone } from '../../../storage/deep.ts';
import type { GenericStore } from '../../generic/store.ts';
import type {
  AdmissionHooks,
  CreateOptions,
  ResourceDescriptor,
  RestContext,
  RestStorage,
} from '../../rest/rest-storage.ts';

/** The Status of a create that made nothing to show. */
export const createdStatus: Status = {
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  code: 201,
};

/** pods/binding, and the older bindings resource: the scheduler's decision for a pod. */
export class BindingStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly #pods: GenericStore;

  constructor(pods: GenericStore, resource: ResourceDescriptor) {
    this.#pods = pods;
    this.resource = resource;
  }

  async create(
    context: RestContext,
    name: string,
    given: KubeObject,
    _options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Status> {
    const binding = (await admission.admit('CREATE', given, undefined)) ?? given;
    const podName = binding.metadata.name ?? '';
    if (name !== '' && podName !== name)
      throw statusErrors.badRequest('name in URL does not match name in Binding object');
    const target = (binding['target'] ?? {}) as { kind?: string; name?: string };
    // Upstream gives these as a plain error, hence 500 without a reason.
    if (target.kind !== undefined && target.kind !== '' && target.kind !== 'Node') {
      const shown = JSON.stringify(target.kind);
      throw new StatusError(
        500,
        '',
        `target.kind: Unsupported value: ${shown}: supported values: "Node", "<empty>"`,
      );
    }
    if ((target.name ?? '') === '') throw new StatusError(500, '', 'target.name: Required value');
    await admission.validate('CREATE', binding, undefined);
    const uid = binding.metadata.uid;
    await this.#pods.updateThrough(
      {
        subresource: 'binding',
        hooks: {},
        mayCreate: false,
      },
      context,
      podName,
      {
        ...(uid === undefined || uid === '' ? {} : { preconditions: { uid } }),
        updatedObject: (inner, existing) =>
          assign(existing as KubeObject, target.name as string, binding, inner.now),
      },
      { fieldTracking: 'none' },
      { admit: (_operation, object) => Promise.resolve(object), validate: () => Promise.resolve() },
    );
    return createdStatus;
  }
}

function assign(existing: KubeObject, node: string, binding: KubeObject, now: string): KubeObject {
  const pod = deepClone(existing);
  const name = pod.metadata.name ?? '';
  const conflict = (text: string): StatusError =>
    statusErrors.conflict({ group: '', resource: 'pods/binding' }, name, text);
  if ((pod.metadata.deletionTimestamp ?? '') !== '') {
    throw conflict(`pod ${name} is being deleted, cannot be assigned to a host`);
  }
  const spec = pod['spec'] as { nodeName?: string; schedulingGates?: unknown[] };
  if ((spec.nodeName ?? '') !== '') {
    throw conflict(`pod ${name} is already assigned to node ${JSON.stringify(spec.nodeName)}`);
  }
  if ((spec.schedulingGates ?? []).length > 0)
    throw conflict(`pod ${name} has non-empty .spec.schedulingGates`);
  spec.nodeName = node;
  const { annotations, labels } = binding.metadata;
  if (annotations !== undefined) pod.metadata.annotations = { ...pod.metadata.annotations, ...annotations };
  if (labels !== undefined) pod.metadata.labels = { ...pod.metadata.labels, ...labels };
  const status = (pod['status'] ?? {}) as { conditions?: [] };
  pod['status'] = {
    ...status,
    conditions: withCondition(
      status.conditions ?? [],
      { type: 'PodScheduled', status: 'True', lastTransitionTime: now },
      now,
    ),
  };
  return pod;
}
