import { builtinProtobuf, encodeYaml, isProtobufDocument } from '@pilothouse/serializer';

interface ManagedEntry {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly time?: string;
}

/** A value of the store, for people. */
export interface DecodedValue {
  readonly format: 'protobuf' | 'json' | 'encrypted' | 'unknown';
  /** Without managed fields; the resource version is the store's revision and not in the value. Empty when the value cannot be read. */
  readonly yaml: string;
  readonly uid: string;
  readonly managers: readonly ManagedEntry[];
  /** Why there is no text. */
  readonly problem?: string;
}

const encryptedPrefix = 'k8s:enc:';

/** Decodes what an API server stored: protobuf of built-in kinds, JSON of custom resources. Never throws: damage is told in `problem`. */
export function decodeStored(value: Uint8Array): DecodedValue {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const unreadable = (format: DecodedValue['format'], problem: string): DecodedValue => ({
    format,
    yaml: '',
    uid: '',
    managers: [],
    problem,
  });
  if (bytes.subarray(0, encryptedPrefix.length).toString('latin1') === encryptedPrefix) {
    const provider = bytes.subarray(encryptedPrefix.length, 64).toString('latin1').split(':')[0];
    return unreadable(
      'encrypted',
      `Encrypted at rest (${provider}): the console has no keys, the past of this object cannot be shown`,
    );
  }
  const protobuf = isProtobufDocument(bytes);
  try {
    const object = protobuf
      ? (builtinProtobuf.decode(bytes).object as unknown as Record<string, unknown>)
      : (JSON.parse(bytes.toString('utf8')) as Record<string, unknown>);
    const { managedFields, ...metadata } = (object['metadata'] ?? {}) as Record<string, unknown>;
    return {
      format: protobuf ? 'protobuf' : 'json',
      yaml: encodeYaml({ ...object, metadata }),
      uid: typeof metadata['uid'] === 'string' ? metadata['uid'] : '',
      managers: Array.isArray(managedFields) ? (managedFields as ManagedEntry[]) : [],
    };
  } catch (error) {
    return unreadable(
      'unknown',
      `The stored value cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/**
 * Who wrote `newer` over `older`, e.g. `kubectl-edit (Update)`: managers whose entries are new or have a new time. Who lost fields has a changed entry
 * as well, but its old time; where nobody has a new one (two writes in a second), all changed entries count.
 */
export function writersOf(newer: DecodedValue, older: DecodedValue | undefined): string[] {
  const stamp = ({ manager, operation, subresource, time }: ManagedEntry): string =>
    JSON.stringify([manager, operation, subresource, time]);
  const unlike = (text: (entry: ManagedEntry) => string): ManagedEntry[] => {
    const before = new Set((older?.managers ?? []).map(text));
    return newer.managers.filter((entry) => !before.has(text(entry)));
  };
  const stamped = unlike(stamp);
  const names = (stamped.length > 0 ? stamped : unlike((entry) => JSON.stringify(entry))).map(
    (entry) =>
      `${entry.manager ?? 'unknown'} (${entry.operation ?? 'Update'}${entry.subresource === undefined || entry.subresource === '' ? '' : ` of ${entry.subresource}`})`,
  );
  return [...new Set(names)];
}

/** The latest time that managers of a value left, RFC 3339; empty when there is none. */
export function writtenAt(value: DecodedValue): string {
  return value.managers.reduce(
    (latest, entry) => ((entry.time ?? '') > latest ? (entry.time ?? '') : latest),
    '',
  );
}
