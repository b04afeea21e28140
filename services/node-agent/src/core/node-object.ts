import type { KubeObject } from '@pilothouse/apimachinery';

export interface NodeSettings {
  readonly name: string;
  /** Number of the simulated node: gives its addresses. */
  readonly index: number;
  readonly port: number;
  readonly capacity: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Address that the API server reaches the node by; without it a simulated one. */
  readonly address?: string;
  /** First three numbers of the pods' addresses; without it a simulated network. */
  readonly podNetwork?: string;
  readonly runtime: 'simulated' | 'process';
}

export const nodeAddress = (settings: NodeSettings): string =>
  settings.address ?? `172.30.${Math.floor((settings.index + 11) / 250)}.${(settings.index + 11) % 250}`;

/** First three numbers of the node's pod network. */
export const podNetworkPrefix = (settings: NodeSettings): string =>
  settings.podNetwork ?? `10.244.${settings.index}`;

/** Features that a node tells API servers of: ours takes every WebSocket protocol itself. */
const declaredFeatures = ['ExtendWebSocketsToKubelet'];

export interface NodeCondition {
  type: string;
  status: string;
  lastHeartbeatTime: string;
  lastTransitionTime: string;
  reason: string;
  message: string;
}

/** The conditions of a healthy node with kubelet's reasons and messages; transition times are kept from `previous`. */
export function nodeConditions(now: string, previous: readonly NodeCondition[] = []): NodeCondition[] {
  const wanted: [string, string, string, string][] = [
    ['MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
    ['DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
    ['PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
    ['Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'],
  ];
  return wanted.map(([type, status, reason, message]) => {
    const old = previous.find((each) => each.type === type);
    return {
      type,
      status,
      lastHeartbeatTime: now,
      lastTransitionTime: old?.status === status ? old.lastTransitionTime : now,
      reason,
      message,
    };
  });
}

/** The Node as first registered. */
export function newNode(settings: NodeSettings, now: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: settings.name,
      labels: {
        'beta.kubernetes.io/arch': 'amd64',
        'beta.kubernetes.io/os': 'linux',
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': settings.name,
        'kubernetes.io/os': 'linux',
        ...settings.labels,
      },
      annotations: { 'node.alpha.kubernetes.io/ttl': '0' },
    },
    spec: { podCIDR: `${podNetworkPrefix(settings)}.0/24`, podCIDRs: [`${podNetworkPrefix(settings)}.0/24`] },
    status: {
      capacity: settings.capacity,
      allocatable: settings.capacity,
      addresses: [
        { type: 'InternalIP', address: nodeAddress(settings) },
        { type: 'Hostname', address: settings.name },
      ],
      conditions: nodeConditions(now),
      daemonEndpoints: { kubeletEndpoint: { Port: settings.port } },
      ...(settings.runtime === 'process' ? { declaredFeatures } : {}),
      nodeInfo: {
        architecture: 'amd64',
        bootID: `b${settings.index}`,
        containerRuntimeVersion: settings.runtime === 'process' ? 'process://0.1.0' : 'containerd://2.1.0',
        kernelVersion: '6.8.0',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.36.3',
        machineID: `m${settings.index}`,
        operatingSystem: 'linux',
        osImage: settings.runtime === 'process' ? 'host' : 'simulated',
        systemUUID: `s${settings.index}`,
      },
    },
  };
}
