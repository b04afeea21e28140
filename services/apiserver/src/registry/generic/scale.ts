import type { KubeObject, ManagedFieldsEntry } from '@pilothouse/apimachinery';
import {
  fieldError,
  FieldPath,
  formatLabelSelector,
  parentManagedFields,
  scaleManagedFields,
  statusErrors,
  validateObjectMeta,
} from '@pilothouse/apimachinery';
import { scaleCells, scaleColumns } from '@pilothouse/api';
import type { FieldTracker } from './field-tracker.ts';
import { deepClone } from '../../storage/deep.ts';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import type {
  AdmissionHooks,
  ResourceDescriptor,
  RestContext,
  RestStorage,
  Stored,
  TableSource,
  UpdatedObjectInfo,
  UpdateOptions,
} from '../rest/rest-storage.ts';
import type { GenericStore } from './store.ts';

/** Where a kind keeps what a Scale shows. */
export interface ScalePaths {
  readonly specReplicas: (object: KubeObject) => number;
  readonly setSpecReplicas: (object: KubeObject, replicas: number) => void;
  readonly statusReplicas: (object: KubeObject) => number;
  /** Label selector as text; empty when there is none. */
  readonly selector: (object: KubeObject) => string;
  /** Dotted path of the replicas, for managedFields. */
  readonly replicasPath: string;
}

/** Deployments, ReplicaSets, ReplicationControllers, StatefulSets. */
export const builtinScalePaths: ScalePaths = {
  specReplicas: (object) => (object['spec']?.replicas as number | undefined) ?? 0,
  setSpecReplicas: (object, replicas) => {
    object['spec'] = { ...object['spec'], replicas };
  },
  statusReplicas: (object) => (object['status']?.replicas as number | undefined) ?? 0,
  selector: (object) => {
    const selector = object['spec']?.selector as Record<string, unknown> | undefined;
    if (selector === undefined || selector === null) return '';
    const isSet = !('matchLabels' in selector) && !('matchExpressions' in selector);
    const text = formatLabelSelector(isSet ? { matchLabels: selector as Record<string, string> } : selector);
    return text === '<none>' ? '' : text;
  },
  replicasPath: 'spec.replicas',
};

/** The scale subresource: an autoscaling/v1 Scale made of the parent, and its replicas written back. */
export class ScaleStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly table: TableSource = { columns: scaleColumns, cells: scaleCells };
  readonly #parent: GenericStore;
  readonly #paths: ScalePaths;
  readonly #codec: ObjectCodec;
  /** Of the Scale kind. */
  readonly tracker: FieldTracker | undefined;

  constructor(
    parent: GenericStore,
    resource: ResourceDescriptor,
    codec: ObjectCodec,
    tracker: FieldTracker | undefined,
    paths: ScalePaths = builtinScalePaths,
  ) {
    this.tracker = tracker;
    this.#parent = parent;
    this.resource = resource;
    this.#codec = codec;
    this.#paths = paths;
  }

  async get(
    context: RestContext,
    name: string,
    options: { readonly resourceVersion?: string },
  ): Promise<Stored> {
    return this.#stored(await this.#parent.get(context, name, options));
  }

  async update(
    context: RestContext,
    name: string,
    info: UpdatedObjectInfo,
    options: UpdateOptions,
    admission: AdmissionHooks,
  ): Promise<{ readonly object: Stored; readonly created: boolean }> {
    const parentInfo: UpdatedObjectInfo = {
      ...(info.preconditions === undefined ? {} : { preconditions: info.preconditions }),
      updatedObject: async (inner, existing) => {
        if (existing === undefined) throw statusErrors.notFound(this.#parent.groupResource, name);
        const oldScale = this.#scaleOf(existing, true);
        let scale = await info.updatedObject(inner, deepClone(oldScale));
        scale = (await admission.admit('UPDATE', scale, oldScale)) ?? scale;
        const object = deepClone(existing);
        this.#check(scale, oldScale);
        const managed = this.#managedFields(inner, existing, oldScale, scale, options);
        if (managed !== undefined) object.metadata.managedFields = managed;
        await admission.validate('UPDATE', scale, oldScale);
        // The resourceVersion of the Scale is that of the parent: an old one is a conflict.
        const version = scale.metadata.resourceVersion ?? '';
        if (version !== '') object.metadata.resourceVersion = version;
        this.#paths.setSpecReplicas(object, (scale['spec']?.replicas as number | undefined) ?? 0);
        return object;
      },
    };
    const passed: AdmissionHooks = {
      admit: (_operation, object) => Promise.resolve(object),
      validate: () => Promise.resolve(),
    };
    const path = { subresource: 'scale', hooks: this.#parent.strategy, mayCreate: false };
    const result = await this.#parent.updateThrough(
      path,
      context,
      name,
      parentInfo,
      { ...options, fieldTracking: 'none' },
      passed,
    );
    return { object: this.#stored(result.object), created: false };
  }

  /** managedFields of the parent after this write of its Scale; undefined: not tracked. */
  #managedFields(
    context: RestContext,
    parent: KubeObject,
    oldScale: KubeObject,
    scale: KubeObject,
    options: UpdateOptions,
  ): ManagedFieldsEntry[] | undefined {
    if (this.tracker === undefined) return undefined;
    if (options.fieldTracking !== 'none') {
      this.tracker.update(oldScale, scale, {
        manager: context.fieldManager,
        subresource: 'scale',
        now: context.now,
        resetFields: [],
      });
    }
    const apiVersion = parent.apiVersion ?? '';
    return parentManagedFields(parent.metadata.managedFields, scale.metadata.managedFields, {
      apiVersion,
      paths: { [apiVersion]: this.#paths.replicasPath },
    });
  }

  #check(scale: KubeObject, old: KubeObject): void {
    const name = old.metadata.name ?? '';
    const kind = { group: 'autoscaling', kind: 'Scale' };
    const given = scale.metadata.name ?? '';
    if (given !== '' && given !== name) {
      throw statusErrors.badRequest(`name ${given} does not match object name ${name}`);
    }
    const replicas = (scale['spec']?.replicas as number | undefined) ?? 0;
    const errors = validateObjectMeta({ ...scale.metadata, name }, { namespaced: true });
    if (replicas < 0) {
      const at = new FieldPath('spec').child('replicas');
      errors.push(fieldError.invalid(at, replicas, 'must be greater than or equal to 0'));
    }
    if (errors.length > 0) throw statusErrors.invalid(kind, name, errors);
    const uid = scale.metadata.uid ?? '';
    if (uid !== '' && uid !== old.metadata.uid) {
      throw statusErrors.conflict(
        this.#parent.groupResource,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid ?? ''}`,
      );
    }
  }

  #stored(parent: Stored): Stored {
    return new StoredObject(this.#codec, parent.key, parent.revision, this.#scaleOf(parent.object));
  }

  /** `withManagers`: as a write sees it. Answers do not show who owns the replicas, as upstream's do not. */
  #scaleOf(parent: KubeObject, withManagers = false): KubeObject {
    const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata;
    const selector = this.#paths.selector(parent);
    const replicas = this.#paths.specReplicas(parent);
    const managed =
      this.tracker === undefined || !withManagers
        ? []
        : scaleManagedFields(parent.metadata.managedFields, {
            [parent.apiVersion ?? '']: this.#paths.replicasPath,
          });
    return {
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      metadata: {
        ...(name === undefined ? {} : { name }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
        ...(managed.length === 0 ? {} : { managedFields: managed }),
      },
      spec: replicas === 0 ? {} : { replicas },
      status: { replicas: this.#paths.statusReplicas(parent), ...(selector === '' ? {} : { selector }) },
    };
  }
}
