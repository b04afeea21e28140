import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Clock } from '@pilothouse/base';
import type { NodeDialer, NodeTarget } from '../registry/delegates.ts';
import { retireAgent } from './retire-agent.ts';
import { nodeLog } from './node-log.ts';
import { streamProxy } from './stream-proxy.ts';
import { workloadProxy } from './workload-proxy.ts';

/** Who the server is for nodes, and whom it trusts among them. */
export interface KubeletClientConfig {
  readonly certPem?: string;
  readonly keyPem?: string;
  /** Absent: serving certificates of nodes are not verified, as upstream without --kubelet-certificate-authority. */
  readonly caPem?: string;
}

/** Makes the connections behind log, exec, attach, port-forward and proxy over HTTP(S), upgrades included. */
export function nodeDialer(
  clock: Clock,
  first: KubeletClientConfig = {},
): NodeDialer & { renew(kubelet: KubeletClientConfig): void } {
  let asKubelet = kubeletAgents(first);
  // Workloads have certificates of their own, which this server has no way to know.
  const asAnyone = new HttpsAgent({ keepAlive: true, rejectUnauthorized: false });
  const plain = new HttpAgent({ keepAlive: true });
  const agentOf = (target: NodeTarget): HttpAgent => {
    if (target.scheme === 'http') return plain;
    if (!target.asKubelet) return asAnyone;
    return target.unverified === true ? asKubelet.unverified : asKubelet.verified;
  };
  return {
    proxy: (target) => workloadProxy(target, agentOf(target)),
    stream: (target, kind) => streamProxy(target, agentOf(target), kind, clock),
    log: (target, podName) => nodeLog(target, agentOf(target), podName),
    renew(kubelet) {
      for (const agent of Object.values(asKubelet)) retireAgent(agent);
      asKubelet = kubeletAgents(kubelet);
    },
  };
}

function kubeletAgents(kubelet: KubeletClientConfig): {
  readonly verified: HttpsAgent;
  readonly unverified: HttpsAgent;
} {
  const identity = {
    keepAlive: true,
    ...(kubelet.certPem === undefined ? {} : { cert: kubelet.certPem }),
    ...(kubelet.keyPem === undefined ? {} : { key: kubelet.keyPem }),
  };
  return {
    verified: new HttpsAgent({
      ...identity,
      ...(kubelet.caPem === undefined ? { rejectUnauthorized: false } : { ca: kubelet.caPem }),
    }),
    unverified: new HttpsAgent({ ...identity, rejectUnauthorized: false }),
  };
}
