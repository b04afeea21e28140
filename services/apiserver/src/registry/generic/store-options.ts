import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import type { ResourceStrategy } from '@pilothouse/api';
import type { Storage } from '../../storage/interface.ts';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import type { DeleteOptions, ResourceDescriptor, RestContext } from '../rest/rest-storage.ts';
import type { FieldTracker } from './field-tracker.ts';
import type { RegistryServices } from './services.ts';

/** Called once after a write with whether it went through: gives back what was reserved, or keeps it. */
export type Finish = (success: boolean) => Promise<void> | void;

/** Points where a kind does more than its strategy says, because it concerns other objects (Services reserve addresses). */
export interface StoreHooks {
  /** Before strategy and validation: the object may hold anything. May change `object`. Throws StatusError to refuse. */
  beginCreate?(context: RestContext, object: KubeObject): Promise<Finish>;
  beginUpdate?(context: RestContext, object: KubeObject, old: KubeObject): Promise<Finish>;
  /**
   * Findings that the strategy cannot make, because they depend on other objects or on rights; told before the strategy's. Sees the
   * object as it would be stored. `old` is undefined for a create, `subresource` empty on the main resource.
   */
  findings?(
    context: RestContext,
    object: KubeObject,
    old: KubeObject | undefined,
    subresource: string,
  ): Promise<FieldError[]>;
  /** Throws StatusError to refuse the delete of this name. */
  beginDelete?(name: string): void;
  warningsOnDelete?(options: DeleteOptions): string[];
  /** The object is gone. */
  afterDelete?(context: RestContext, object: KubeObject): Promise<void> | void;
  /** Seconds until the store removes the object by itself; 0 never. */
  ttlSeconds?(object: KubeObject): number;
  /** Whether an update that left the object in this state ends its deletion. Default: no finalizers left and no grace. */
  deletesDuringUpdate?(object: KubeObject, existing: KubeObject): boolean;
}

export interface GenericStoreOptions {
  readonly resource: ResourceDescriptor;
  readonly strategy: ResourceStrategy;
  readonly storage: Storage;
  readonly codec: ObjectCodec;
  /** `/registry/pods/`, as it appears in messages. */
  readonly prefix: string;
  readonly services: RegistryServices;
  readonly tracker?: FieldTracker | undefined;
  readonly hooks?: StoreHooks | undefined;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeletedObject?: boolean | undefined;
  /** Field by which watches are told apart early (`spec.nodeName` for pods). */
  readonly triggerField?: string | undefined;
  /** False for custom resources: their finalizers need no domain. */
  readonly builtIn?: boolean | undefined;
}
