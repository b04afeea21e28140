/** Rights that a component has and did not use in a run, and when it would. Default roles are upstream's to the letter; none is ours alone. */
export const exceptions: readonly { readonly who: RegExp; readonly what: RegExp; readonly why: string }[] = [
  {
    who: /serviceaccount/,
    what: /^read /,
    why: 'informers are shared by all controllers and read as system:kube-controller-manager',
  },
  { who: /./, what: / extensions\//, why: 'upstream keeps the rule for servers that still had the group' },
  {
    who: /./,
    what: /^change .*\/finalizers$/,
    why: 'asked for by OwnerReferencesPermissionEnforcement, an optional admission plugin',
  },
  {
    who: /kube-(scheduler|controller-manager)$/,
    what: /(tokenreviews|subjectaccessreviews)$/,
    why: 'for clients of its own port, which nobody used',
  },
  {
    who: /kube-(scheduler|controller-manager)$/,
    what: /leasecandidates$/,
    why: 'coordinated leader election, an alpha feature',
  },
  { who: /kube-scheduler$/, what: /^delete \/pods$/, why: 'preemption' },
  { who: /kube-scheduler$/, what: /^create \/bindings$/, why: 'the old form of pods/binding' },
  { who: /kube-scheduler$/, what: / storage\.k8s\.io\//, why: 'volumes of drivers; nobody has one here' },
  {
    who: /kube-scheduler$/,
    what: / resource\.k8s\.io\//,
    why: 'dynamic resource allocation; nothing is claimed here',
  },
  {
    who: /kube-scheduler$/,
    what: /^change \/persistentvolume(claim)?s$/,
    why: 'volumes that wait for their first consumer',
  },
  {
    who: /kube-scheduler$/,
    what: /^read \/configmaps$/,
    why: 'authorities of front proxies, for clients of its own port',
  },
  {
    who: /kube-controller-manager$/,
    what: /^(create|delete) \/secrets$|^change \/serviceaccounts$/,
    why: 'tokens of a token controller that has no account of its own',
  },
  {
    who: /clusterrole-aggregation-controller$/,
    what: /^escalate /,
    why: 'allows the change that it makes; no verb of a request',
  },
  {
    who: /cronjob-controller$/,
    what: /batch\/(cronjobs|jobs|cronjobs\/status)$|^delete \/pods$/,
    why: 'when a minute begins during the run, and when history is cut',
  },
  {
    who: /(daemon-set|statefulset)-controller$/,
    what: /controllerrevisions$/,
    why: 'history beyond its limit, and revisions that come back',
  },
  {
    who: /(daemon-set|deployment|replicaset|replication|statefulset)-controller$/,
    what: /^change \/pods$/,
    why: 'pods that are adopted or let go',
  },
  { who: /daemon-set-controller$/, what: /pods\/binding$/, why: 'upstream keeps the rule of old versions' },
  {
    who: /deployment-controller$/,
    what: /^change apps\/deployments$|^delete apps\/replicasets$/,
    why: 'rollback annotations, history beyond its limit',
  },
  {
    who: /(replicaset|replication)-controller$/,
    what: /^change (apps\/replicasets|\/replicationcontrollers)$/,
    why: 'upstream keeps the rule; the status has one of its own',
  },
  {
    who: /(job|replication)-controller$/,
    what: /^delete \/pods$|^change batch\/jobs$/,
    why: 'pods that are too many; suspended jobs',
  },
  {
    who: /statefulset-controller$/,
    what: /persistentvolumeclaims$/,
    why: 'claims that are deleted with their set, by its policy',
  },
  {
    who: /disruption-controller$/,
    what: /^change \/pods\/status$/,
    why: 'disruption conditions that went stale, after two minutes',
  },
  {
    who: /endpoint(slice)?-controller$/,
    what: /endpoints\/restricted$|^delete (\/endpoints|discovery\.k8s\.io\/endpointslices)$/,
    why: 'services that lose their ports or selector',
  },
  {
    who: /namespace-controller$/,
    what: /^delete (\/namespaces|\*\/\*)$/,
    why: 'kinds that cannot be deleted as a collection',
  },
  {
    who: /node-controller$/,
    what: / \/(nodes|nodes\/status|pods|pods\/status)$/,
    why: 'nodes that stop answering',
  },
  {
    who: /persistent-volume-binder$/,
    what: /^(create|delete) \/(persistentvolumes|pods)$/,
    why: 'volumes that are provisioned and recycled',
  },
  {
    who: /pvc-protection-controller$/,
    what: /persistentvolumeclaims\/status$/,
    why: 'the condition Unused, an alpha feature',
  },
  { who: /root-ca-cert-publisher$/, what: /^change \/configmaps$/, why: 'a changed authority' },
  {
    who: /legacy-service-account-token-cleaner$/,
    what: /^(delete|change) \/secrets$/,
    why: 'generated tokens that nobody used for a year',
  },
  { who: /service-cidrs-controller$/, what: /servicecidrs\/status$/, why: 'a range that is added or goes' },
  { who: /./, what: /^write \/events$/, why: 'told when something goes wrong' },
];
