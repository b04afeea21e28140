import { builtinProtobuf, decodeEnvelope, decodeYaml } from '@pilothouse/serializer';
import { builtinSchemas } from '@pilothouse/api';
import type { KubeObject, Status } from '@pilothouse/apimachinery';
import { jsonText, parseApiVersion, parseExact } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';
import type { AuditDecision } from './policy.ts';

/** What handlers tell of a request for its audit events. Bodies are kept only where the level asks for them. */
export class AuditContext {
  readonly decision: AuditDecision;
  /** Who was authenticated, before impersonation. */
  readonly user: UserInfo;
  /** Told at the start: a connection that is closed knows no more who was there. */
  readonly sourceIps: readonly string[];
  readonly #wantsRequest: boolean;
  readonly #wantsResponse: boolean;
  #status: Status | undefined;
  #object: KubeObject | undefined;
  #requestBytes: Uint8Array | undefined;
  #response: { readonly contentType: string; readonly body: Uint8Array } | undefined;

  constructor(decision: AuditDecision, user: UserInfo, sourceIps: readonly string[]) {
    this.sourceIps = sourceIps;
    this.decision = decision;
    this.user = user;
    this.#wantsRequest = decision.level === 'Request' || decision.level === 'RequestResponse';
    this.#wantsResponse = decision.level === 'RequestResponse';
  }

  /** The bytes of a body; for patches and options, which are no objects. */
  requestBody(bytes: Uint8Array): void {
    if (this.#wantsRequest) this.#requestBytes = bytes;
  }

  /** The decoded object of a write. */
  requestObject(object: KubeObject): void {
    // Admission changes the object later: what the client sent is told.
    this.#object = this.#wantsRequest
      ? structuredClone(object)
      : ({ metadata: { ...object.metadata } } as KubeObject);
  }

  /** An answer that is a Status: its reason and message are told at every level. */
  responseStatus(status: Status): void {
    this.#status = status;
  }

  /** The first answer counts: bytes before any compression. */
  response(contentType: string, body: Uint8Array): void {
    if (this.#wantsResponse) this.#response ??= { contentType, body };
  }

  /** Members of objectRef that the path of the request does not tell. */
  get objectMeta(): Readonly<Record<string, string>> {
    const { namespace, name, uid, resourceVersion } = (this.#object?.metadata ?? {}) as Record<
      string,
      string
    >;
    return {
      ...(namespace ? { namespace } : {}),
      ...(name ? { name } : {}),
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
    };
  }

  statusJson(code: number): Record<string, unknown> {
    const status = this.#status;
    return {
      metadata: {},
      ...(status?.status === undefined ? {} : { status: status.status }),
      ...(status?.message === undefined ? {} : { message: status.message }),
      ...(status?.reason === undefined ? {} : { reason: status.reason }),
      ...(status?.details === undefined ? {} : { details: status.details }),
      code,
    };
  }

  /** JSON of what the client sent; undefined when nothing is to be told. */
  requestJson(): string | undefined {
    if (!this.#wantsRequest) return undefined;
    if (this.#object !== undefined) return jsonText(this.#cleaned(this.#object));
    if (this.#requestBytes === undefined || this.#requestBytes.length === 0) return undefined;
    const value = parsed('', this.#requestBytes);
    return value === undefined ? undefined : jsonText(value);
  }

  responseJson(): string | undefined {
    if (this.#response === undefined) return undefined;
    const value = parsed(this.#response.contentType, this.#response.body);
    return value === undefined ? undefined : jsonText(this.#cleaned(value));
  }

  #cleaned(value: unknown): unknown {
    if (!this.decision.omitManagedFields || typeof value !== 'object' || value === null) return value;
    const object = value as Record<string, unknown>;
    const metadata = object['metadata'] as Record<string, unknown> | undefined;
    if (metadata) delete metadata['managedFields'];
    for (const list of [object['items'], object['rows']]) {
      if (!Array.isArray(list)) continue;
      for (const item of list as unknown[]) {
        const { object: embedded } = item as { object?: unknown };
        this.#cleaned(embedded ?? item);
      }
    }
    return object;
  }
}

/** JSON, YAML or protobuf as a value of its own; undefined for anything else (tables of text, streams). */
function parsed(contentType: string, bytes: Uint8Array): unknown {
  try {
    if (bytes[0] === 0x6b && bytes[1] === 0x38 && bytes[2] === 0x73 && bytes[3] === 0) {
      const { apiVersion, kind, raw } = decodeEnvelope(bytes);
      const { group, version } = parseApiVersion(apiVersion) ?? { group: '', version: '' };
      const schema = builtinSchemas.kind(group, version, kind);
      return schema && { kind, apiVersion, ...builtinProtobuf.decodeMessage(raw, schema) };
    }
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
    if (contentType.startsWith('text/')) return undefined;
    try {
      return parseExact(text);
    } catch {
      return contentType.includes('json') ? undefined : decodeYaml(text).value;
    }
  } catch {
    return undefined;
  }
}
