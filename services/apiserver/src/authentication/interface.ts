/** Who makes a request (authentication/v1 UserInfo, without its JSON tags). */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What of a request identifies its sender. */
export interface AuthenticationRequest {
  /** Lower-case names; repeated headers as Node gives them (an array, or joined by a comma). */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The same with the values of repeated ones apart: for names of groups, which may hold commas. */
  readonly distinct?: () => Readonly<Record<string, readonly string[] | undefined>>;
  /** DER of the client's TLS certificate, leaf first, whether trusted or not; absent without one. */
  readonly tlsPeerCertificates?: readonly Uint8Array[];
  /** Decoded path, for anonymous access limited to some paths. */
  readonly path?: string;
}

export interface AuthenticationResult {
  readonly user: UserInfo;
  /** Audiences that the credential and the asked ones share; absent when the method knows none. */
  readonly audiences?: readonly string[];
  /** Sec-WebSocket-Protocol without the token that stood in it. */
  readonly webSocketProtocols?: string;
  /** What the client is to hear about its credential. */
  readonly warnings?: readonly string[];
  /** For the audit log. */
  readonly auditAnnotations?: Readonly<Record<string, string>>;
}

/** Tells who sends a request. Undefined: no credential that this method knows. */
export interface Authenticator {
  /** Throws StatusError 401 on a credential that is bad. */
  authenticate(request: AuthenticationRequest): Promise<AuthenticationResult | undefined>;
}

/** Tells whose bearer token it is. Undefined: not a token of this method. Throws an Error on a token of this method that is bad. */
export interface TokenAuthenticator {
  authenticateToken(token: string, audiences: readonly string[]): Promise<AuthenticationResult | undefined>;
}

/** Names and groups that the system gives. */
export const anonymousUser = 'system:anonymous';
export const unauthenticatedGroup = 'system:unauthenticated';
export const authenticatedGroup = 'system:authenticated';
export const privilegedGroup = 'system:masters';
export const serviceAccountPrefix = 'system:serviceaccount:';
export const serviceAccountsGroup = 'system:serviceaccounts';
export const nodeUserPrefix = 'system:node:';
export const nodesGroup = 'system:nodes';

/** The identity of the API server itself, for its own reads and writes. */
export const apiServerUser: UserInfo = {
  name: 'system:apiserver',
  groups: [privilegedGroup, authenticatedGroup],
};
