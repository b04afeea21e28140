import type { KubeObject } from '@pilothouse/apimachinery';
import type { WatchEvent } from '../registry/rest/rest-storage.ts';
import type { ObjectCodec } from './stored-object.ts';
import { StoredObject } from './stored-object.ts';

/** The annotation on the bookmark that ends the initial events of a watch. */
export const initialEventsEnd = 'k8s.io/initial-events-end';

/** "Everything up to `revision` was sent." `typeMeta` is that of the watched resource. */
export function bookmarkEvent(
  codec: ObjectCodec,
  typeMeta: { readonly apiVersion: string; readonly kind: string },
  revision: number,
  endsInitialEvents: boolean,
): WatchEvent {
  const object: KubeObject = {
    kind: typeMeta.kind,
    apiVersion: typeMeta.apiVersion,
    metadata: endsInitialEvents ? { annotations: { [initialEventsEnd]: 'true' } } : {},
  };
  return { type: 'BOOKMARK', object: new StoredObject(codec, '', revision, object) };
}
