import type { Clock } from '@pilothouse/base';
import type { FileWatcher, QueueObserver, RequestObserver } from '@pilothouse/host';
import { clientMetrics, Metrics, queueMetrics, registerProcessMetrics } from '@pilothouse/host';

/** Queues whose names upstream's dashboards know, by the controller they belong to; other queues have the controller's name. */
const queueNames: Readonly<Record<string, string>> = {
  'deployment-controller': 'deployment',
  'replicaset-controller': 'replicaset',
  'replicationcontroller-controller': 'replicationmanager',
  'daemonset-controller': 'daemonset',
  'statefulset-controller': 'statefulset',
  'job-controller': 'job',
  'cronjob-controller': 'cronjob',
  'endpoints-controller': 'endpoint',
  'endpointslice-controller': 'endpoint_slice',
  'endpointslice-mirroring-controller': 'endpoint_slice_mirroring',
  'garbage-collector-controller/delete': 'garbage_collector_attempt_to_delete',
  'garbage-collector-controller/orphan': 'garbage_collector_attempt_to_orphan',
  'namespace-controller': 'namespace',
  'disruption-controller': 'disruption',
  'horizontal-pod-autoscaler-controller': 'horizontalpodautoscaler',
  'node-lifecycle-controller': 'node_lifecycle_controller',
  'node-ipam-controller': 'cidrset',
  'taint-eviction-controller': 'noexec_taint_pod',
  'resourcequota-controller': 'resourcequota_primary',
  'serviceaccount-controller': 'serviceaccount',
  'serviceaccount-token-controller': 'serviceaccount_tokens_service',
  'root-ca-certificate-publisher-controller': 'root_ca_cert_publisher',
  'clusterrole-aggregation-controller': 'ClusterRoleAggregator',
  'ttl-controller': 'ttlcontroller',
  'ttl-after-finished-controller': 'ttl_jobs_to_delete',
  'persistentvolumeclaim-protection-controller': 'pvcprotection',
  'persistentvolume-protection-controller': 'pvprotection',
  'ephemeral-volume-controller': 'ephemeral_volume',
  'resourceclaim-controller': 'resource_claim',
  'certificatesigningrequest-signing-controller': 'csr_signing',
  'bootstrap-signer-controller': 'bootstrap_signer_queue',
  'token-cleaner-controller': 'token_cleaner',
  'certificatesigningrequest-approving-controller': 'csr_approving',
};

/** Metrics of the controller manager, with upstream's names and labels. */
export class ManagerMetrics {
  readonly #metrics = new Metrics();
  readonly requests: RequestObserver;
  readonly observe: (controller: string) => QueueObserver;

  constructor(
    clock: Clock,
    sources: {
      readonly lease: string;
      readonly isLeader: () => boolean;
      readonly running: () => readonly string[];
    },
  ) {
    registerProcessMetrics(this.#metrics, 'kube-controller-manager');
    this.requests = clientMetrics(this.#metrics);
    const queue = queueMetrics(this.#metrics, clock);
    this.observe = (controller) => queue(queueNames[controller] ?? controller);
    this.#metrics.gauge('leader_election_master_status', 'Whether this replica holds the lease', () => [
      [{ name: sources.lease }, sources.isLeader() ? 1 : 0],
    ]);
    this.#metrics.gauge('running_managed_controllers', 'Controllers that run', () =>
      sources.running().map((name) => [{ name, manager: 'kube-controller-manager' }, 1]),
    );
  }

  /** Tells the files that the manager follows. */
  follow(watcher: FileWatcher): void {
    watcher.register(this.#metrics);
  }

  text(): string {
    return this.#metrics.render();
  }
}
