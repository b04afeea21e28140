import { CodedError } from '@pilothouse/base';
import type { GroupResource } from '@pilothouse/apimachinery';
import { StatusError, statusErrors } from '@pilothouse/apimachinery';

export type KeyValueErrorCode =
  'compacted' | 'futureRevision' | 'unavailable' | 'noSpace' | 'requestTooLarge' | 'unreadable';

/** What a {@link KeyValueStore} throws. */
export class KeyValueError extends CodedError {
  readonly kind: KeyValueErrorCode;
  constructor(kind: KeyValueErrorCode, message: string) {
    super(kind, message);
    this.kind = kind;
  }
}

export type StorageErrorCode = 'keyExists' | 'keyNotFound' | 'resourceVersionConflict' | 'invalidObject';

/** What a {@link Storage} throws besides StatusError and KeyValueError: expected outcomes that the registry puts into words. */
export class StorageError extends CodedError {
  readonly kind: StorageErrorCode;
  readonly key: string;
  constructor(kind: StorageErrorCode, key: string, message: string) {
    super(kind, message);
    this.kind = kind;
    this.key = key;
  }
}

export function isKeyNotFound(error: unknown): boolean {
  return error instanceof StorageError && error.kind === 'keyNotFound';
}

export const storageErrors = {
  keyExists: (key: string): StorageError =>
    new StorageError('keyExists', key, `Cannot create ${key}: the key exists`),
  keyNotFound: (key: string): StorageError => new StorageError('keyNotFound', key, `Cannot find ${key}`),
  conflict: (key: string): StorageError =>
    new StorageError('resourceVersionConflict', key, `Cannot write ${key}: it was changed by somebody else`),
  /** `key` is the full key: clients see upstream's text with it after "Operation cannot be fulfilled on …: ". */
  precondition: (key: string, message: string): StorageError =>
    new StorageError(
      'invalidObject',
      key,
      `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${message}`,
    ),
  compactedWatch: (requested: number, oldest: number): StatusError =>
    statusErrors.expired(`too old resource version: ${requested} (${oldest})`),
  compactedList: (): StatusError =>
    statusErrors.expired('The resourceVersion for the provided list is too old.'),
  compactedContinue: (token: string): StatusError => {
    const error = statusErrors.expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
        'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
        'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
        'deleted between the time the first chunk was returned and now may show up in the list.',
    );
    error.status.metadata = { continue: token };
    return error;
  },
};

/** Puts a failure of the storage into the words that clients know. `name` may be empty (lists, watches). */
export function interpretStorageError(
  error: unknown,
  resource: GroupResource,
  name: string,
  operation: string,
): unknown {
  if (error instanceof StatusError) return error;
  if (error instanceof StorageError) {
    switch (error.kind) {
      case 'keyNotFound':
        return statusErrors.notFound(resource, name);
      case 'keyExists':
        return statusErrors.alreadyExists(resource, name);
      case 'resourceVersionConflict':
        return statusErrors.conflict(
          resource,
          name,
          'the object has been modified; please apply your changes to the latest version and try again',
        );
      case 'invalidObject':
        return statusErrors.conflict(resource, name, error.message);
    }
  }
  if (error instanceof KeyValueError) {
    switch (error.kind) {
      case 'unavailable':
        return statusErrors.serverTimeout(resource, operation, 2);
      case 'compacted':
        return storageErrors.compactedList();
      case 'noSpace':
        return statusErrors.internal('etcdserver: mvcc: database space exceeded');
      case 'requestTooLarge':
        return statusErrors.requestEntityTooLarge('limit is 1.5Mi');
      case 'futureRevision':
      case 'unreadable':
        return statusErrors.internal(error.message);
    }
  }
  return error;
}
