/** Shapes of the generated discovery data (source: proto/k8s/resources.json, featuregates.json, operations.json). */

/** One group-version a cluster can serve, in the order of /apis. */
export interface BuiltinGroupVersion {
  readonly group: string;
  readonly version: string;
  /** The group's preferred version. */
  readonly preferred: boolean;
  /** groupPriorityMinimum and versionPriority of its APIService. */
  readonly groupPriority: number;
  readonly versionPriority: number;
  /** `off` needs --runtime-config. */
  readonly served: 'default' | 'off';
}

export interface BuiltinSubresource {
  /** Without the resource, for example `status`. */
  readonly name: string;
  /** Group and version of the kind when they differ from the parent's. */
  readonly group?: string;
  readonly version?: string;
  readonly kind: string;
  readonly verbs: readonly string[];
  readonly gate?: string;
}

/** Releases (`1.36`) in which a kind's version came and goes; `deprecated` at or before 1.36 means a Warning header. */
export interface ResourceLifecycle {
  readonly introduced?: string;
  readonly deprecated?: string;
  readonly removed?: string;
  readonly replacement?: readonly [group: string, version: string, kind: string];
}

export interface BuiltinResource {
  readonly group: string;
  readonly version: string;
  /** Lower-case plural: the resource name in paths. */
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames?: readonly string[];
  readonly categories?: readonly string[];
  readonly served: 'default' | 'off';
  /** Feature gate that must be on as well. */
  readonly gate?: string;
  /** Group-version written to etcd; absent for virtual resources such as TokenReview. */
  readonly storage?: readonly [group: string, version: string];
  /** Base64 of the first 8 bytes of SHA-256 over `group/version/kind` of the storage version. */
  readonly storageVersionHash?: string;
  /** What follows `/registry/` in the key. */
  readonly etcdPrefix?: string;
  readonly lifecycle?: ResourceLifecycle;
  readonly subresources: readonly BuiltinSubresource[];
}

export interface FeatureGate {
  readonly stage: 'Alpha' | 'Beta' | 'GA' | 'Deprecated';
  readonly default: boolean;
  /** Release in which this stage and default began. */
  readonly since: string;
  /** Setting it to anything but the default is refused. */
  readonly locked?: boolean;
}

/** What all paths of one action have in common. */
export interface ActionFacts {
  readonly method: string;
  readonly query: readonly string[];
  readonly consumes: readonly string[];
  readonly produces: readonly string[];
  readonly codes: readonly string[];
  readonly bodyRequired?: readonly boolean[];
}

/** One operation group of a path that is not simply get, put and patch. */
export interface SpecialOperation {
  readonly methods: readonly string[];
  readonly action: string;
  readonly kind: readonly string[];
  readonly query?: readonly string[];
  readonly produces?: readonly string[];
  readonly body?: string;
  readonly returns?: string;
  readonly codes?: readonly string[];
}

export interface OperationFacts {
  readonly actions: Readonly<Record<string, ActionFacts>>;
  readonly queryTypes: Readonly<Record<string, string>>;
  /** Query options of the connect verbs and of log, by kind: option → type. */
  readonly optionsOfConnect: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Parameters and media types published only with a gate on. */
  readonly gatedInSnapshot: Readonly<Record<string, readonly string[]>>;
  readonly getPutPatch: Readonly<Record<string, readonly string[]>>;
  readonly special: Readonly<Record<string, readonly SpecialOperation[]>>;
  readonly nonResource: Readonly<Record<string, string | null>>;
}
