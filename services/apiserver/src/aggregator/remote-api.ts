import type { KubeObject } from '@pilothouse/apimachinery';

/** A group-version that another server answers, as its APIService tells. */
export interface RemoteApi {
  /** Name of the APIService: `v1alpha1.wardle.example.com`. */
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly service: { readonly namespace: string; readonly name: string; readonly port: number };
  /** Absent: the roots of this process. */
  readonly caPem?: string;
  readonly insecure: boolean;
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** The condition Available, as written by this server or another replica. */
  readonly available: boolean;
}

/** Whom the certificate of the server behind a service must name. */
export function serverNameOf(api: RemoteApi): string {
  return `${api.service.name}.${api.service.namespace}.svc`;
}

/** Path of the group-version's resource list. */
export function pathOf(api: Pick<RemoteApi, 'group' | 'version'>): string {
  return api.group === '' ? `/api/${api.version}` : `/apis/${api.group}/${api.version}`;
}

/** Undefined for an APIService without a service: this server answers it itself. */
export function remoteApiOf(object: KubeObject): RemoteApi | undefined {
  const spec = (object['spec'] ?? {}) as {
    group?: string;
    version?: string;
    service?: { namespace?: string; name?: string; port?: number } | null;
    caBundle?: string;
    insecureSkipTLSVerify?: boolean;
    groupPriorityMinimum?: number;
    versionPriority?: number;
  };
  const { service } = spec;
  if (service === undefined || service === null) return undefined;
  const conditions = (object['status']?.conditions ?? []) as { type: string; status: string }[];
  return {
    name: object.metadata.name ?? '',
    group: spec.group ?? '',
    version: spec.version ?? '',
    service: { namespace: service.namespace ?? '', name: service.name ?? '', port: service.port ?? 443 },
    ...(spec.caBundle ? { caPem: Buffer.from(spec.caBundle, 'base64').toString('utf8') } : {}),
    insecure: spec.insecureSkipTLSVerify === true,
    groupPriority: spec.groupPriorityMinimum ?? 0,
    versionPriority: spec.versionPriority ?? 0,
    available: conditions.some(({ type, status }) => type === 'Available' && status === 'True'),
  };
}

/** Whether requests to both go to the same place in the same way. */
export function isSameServer(a: RemoteApi, b: RemoteApi): boolean {
  return (
    a.service.namespace === b.service.namespace &&
    a.service.name === b.service.name &&
    a.service.port === b.service.port &&
    a.caPem === b.caPem &&
    a.insecure === b.insecure
  );
}
