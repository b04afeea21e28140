import type { KubeObject } from '@pilothouse/apimachinery';
import type { RestStorage } from '../registry/rest/rest-storage.ts';

/** A server-side apply. */
export interface ApplyRequest {
  readonly manager: string;
  readonly force: boolean;
  /** RFC 3339. */
  readonly now: string;
}

/** The field manager as the PATCH handler uses it. */
export interface PatchEngine {
  /**
   * The object after `patch` was applied; `live` is undefined when there is none yet. Throws StatusError 409 when another
   * manager owns a field and `force` is off.
   */
  apply(storage: RestStorage, live: KubeObject | undefined, patch: KubeObject, request: ApplyRequest): KubeObject;
}
