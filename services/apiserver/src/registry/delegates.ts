import type { KubeObject } from '@pilothouse/apimachinery';
import type { Authorizer, RuleResolver } from '../authorization/interface.ts';
import type { TokenIssuer } from './core/serviceaccount/token-issuer.ts';
import type { ConnectHandler, UserInfo } from './rest/rest-storage.ts';

/** Reads identities for the reviews of authentication.k8s.io. */
export interface IdentityReviewer {
  /** TokenReview with its status filled. Throws StatusError 400 for an empty token. */
  reviewToken(review: KubeObject): Promise<KubeObject>;
  /** SelfSubjectReview with its status filled. */
  reviewSelf(review: KubeObject, user: UserInfo): KubeObject;
}

/** Where a proxied stream goes. */
export interface NodeTarget {
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  /** Present a client certificate of the server: the target is a node, not a workload. */
  readonly asKubelet: boolean;
  /** Do not check the node's certificate: the client asked for that (insecureSkipTLSVerifyBackend). */
  readonly unverified?: boolean;
}

/** What an upgraded connection carries, for nodes that speak an older protocol than the client. */
export type StreamKind = {
  /** The node said so in status.declaredFeatures. */
  readonly nodeTakesWebSockets: boolean;
} & (
  | {
      readonly type: 'command';
      readonly options: {
        readonly stdin: boolean;
        readonly stdout: boolean;
        readonly stderr: boolean;
        readonly tty: boolean;
      };
    }
  | { readonly type: 'ports' }
);

/** Makes the connections to nodes, pods and services behind log, exec, attach, port-forward and proxy. */
export interface NodeDialer {
  /** A workload's or node's own pages: any method, upgrades, links and redirects led back through the proxy. */
  proxy(target: NodeTarget): ConnectHandler;
  /** exec, attach, port-forward: an upgrade is required. */
  stream(target: NodeTarget, kind: StreamKind): ConnectHandler;
  /** The log of a container of `podName`. */
  log(target: NodeTarget, podName: string): ConnectHandler;
}

/** How nodes and workloads may be reached. */
export interface ConnectPolicy {
  /** --kubelet-preferred-address-types, the best first. */
  readonly addressTypes: readonly string[];
  /** Pods and nodes may have loopback addresses: they are processes of this host (feature gate LoopbackPods). */
  readonly loopback: boolean;
}

/**
 * What storages use of the layers above them. Those are built on the registry, so they are put in after it was made; a request that needs
 * one that is still missing gets 503.
 */
export interface RegistryDelegates {
  tokenIssuer?: TokenIssuer;
  identities?: IdentityReviewer;
  authorizer?: Authorizer;
  rules?: RuleResolver;
  dialer?: NodeDialer;
  connectPolicy?: ConnectPolicy;
  /** GET of an HTTPS path on this machine, with any certificate; `message` is the body, or what went wrong. Never rejects. */
  probeLocal?(port: number, path: string): Promise<{ readonly healthy: boolean; readonly message: string }>;
}
