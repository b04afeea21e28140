import type { KubeObject } from '@pilothouse/apimachinery';

export interface ResourceRequirements {
  limits?: Record<string, string>;
  requests?: Record<string, string>;
}

/** What plugins look at in a container. */
export interface Container {
  name: string;
  image?: string;
  imagePullPolicy?: string;
  restartPolicy?: string;
  resources?: ResourceRequirements;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  ports?: { hostPort?: number }[];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- nested security fields, read defensively
  securityContext?: any;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rest of the container
  [field: string]: any;
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

export interface Volume {
  name: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- one field per volume type
  [source: string]: any;
}

/** What plugins look at in a pod's spec. */
export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  volumes?: Volume[];
  serviceAccountName?: string;
  serviceAccount?: string;
  automountServiceAccountToken?: boolean;
  imagePullSecrets?: { name?: string }[];
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
  priority?: number;
  priorityClassName?: string;
  preemptionPolicy?: string;
  runtimeClassName?: string;
  overhead?: Record<string, string>;
  activeDeadlineSeconds?: number;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  resources?: ResourceRequirements;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- nested security fields, read defensively
  securityContext?: any;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the rest of the spec
  [field: string]: any;
}

export const mirrorAnnotation = 'kubernetes.io/config.mirror';

export function podSpec(pod: KubeObject): PodSpec {
  const spec = (pod['spec'] ??= { containers: [] }) as PodSpec;
  spec.containers ??= [];
  return spec;
}

/** Init, regular and ephemeral containers, in this order. */
export function allContainers(spec: PodSpec): Container[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])];
}

export function isMirrorPod(pod: KubeObject): boolean {
  return pod.metadata.annotations?.[mirrorAnnotation] !== undefined;
}
