export { DelegatedAccess } from './delegated-access.ts';
export type { AccessRefusal, AccessRequest, DelegatedAccessOptions } from './delegated-access.ts';
export { openDelegatedAccess } from './open-delegated-access.ts';
export { KubeconfigError, TransportError } from './errors.ts';
export type { ClusterAccess } from './kubeconfig.ts';
export { followKubeconfig, loadKubeconfig } from './kubeconfig.ts';
export { inClusterAccess, serviceAccountDirectory } from './in-cluster.ts';
export type { Transport, TransportRequest, TransportResponse } from './transport.ts';
export type { RenewableTransport } from './http2-transport.ts';
export { createHttp2Transport, transportLimits } from './http2-transport.ts';
export type {
  DeleteOptions,
  KubeList,
  ListOptions,
  PatchType,
  ResourceRef,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './rest-client.ts';
export { resourcePath, RestClient, statusErrorFrom } from './rest-client.ts';
export type { IndexFunction, Lister } from './indexer.ts';
export { Indexer, objectKey, splitKey } from './indexer.ts';
export type { EventHandler, InformerDependencies, InformerOptions } from './informer.ts';
export { Informer, InformerFactory } from './informer.ts';
export type { BackoffOptions, QueueObserver } from './work-queue.ts';
export { WorkQueue } from './work-queue.ts';
export type { ControllerOptions, ReconcileResult } from './controller.ts';
export { Controller, TerminalError } from './controller.ts';
export type { LeaderElectionOptions } from './leader-election.ts';
export { LeaderElector } from './leader-election.ts';
export type { EventTarget } from './event-recorder.ts';
export { EventRecorder } from './event-recorder.ts';
export { microTime, secondTime } from './micro-time.ts';
export { withBearerToken } from './bearer-transport.ts';
export type { RequestObserver } from './measured-transport.ts';
export { measuredTransport } from './measured-transport.ts';
