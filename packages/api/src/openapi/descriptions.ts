/** Short descriptions in our own words, for what people ask `kubectl explain` most. Everything else is published without one. */

const everyKind: Readonly<Record<string, string>> = {
  // Clients look for the words that some of these begin with.
  apiVersion:
    'APIVersion defines the group and version of the schema that this object follows, for example apps/v1.',
  kind: 'Name of the kind of this object, in CamelCase. Cannot be changed.',
  metadata: "Standard object's metadata: name, namespace, labels and the like.",
  spec: 'The state that is wanted.',
  status: 'The state that was last observed. Written by the system.',
};

const core = 'k8s.io.api.core.v1.';
const apps = 'k8s.io.api.apps.v1.';
const meta = 'k8s.io.apimachinery.pkg.apis.meta.v1.';

const kinds: Readonly<Record<string, string>> = {
  [`${core}Pod`]: 'A group of containers that run together on one node.',
  [`${core}PodSpec`]: 'What a pod runs, and how and where.',
  [`${core}PodStatus`]: 'What is known about a pod on its node.',
  [`${core}PodTemplateSpec`]: 'Metadata and spec of the pods that a controller creates.',
  [`${core}Container`]: 'One container of a pod.',
  [`${core}ContainerPort`]: 'A port that a container listens on.',
  [`${core}EnvVar`]: 'An environment variable of a container.',
  [`${core}Probe`]: 'A check that the node runs against a container.',
  [`${core}ResourceRequirements`]: 'Compute resources that are reserved, and their limits.',
  [`${core}Volume`]: 'A volume that containers of the pod can mount.',
  [`${core}VolumeMount`]: 'Where a volume appears inside a container.',
  [`${core}Service`]: 'A stable address for a set of pods.',
  [`${core}ServiceSpec`]: 'How a service is reached and which pods are behind it.',
  [`${core}ServicePort`]: 'A port of a service.',
  [`${core}ConfigMap`]: 'Configuration data for pods to consume.',
  [`${core}Secret`]: 'Confidential data, kept apart from configuration.',
  [`${core}Namespace`]: 'A scope for names.',
  [`${core}Node`]: 'A machine that runs pods.',
  [`${core}Event`]: 'A report of something that happened to an object.',
  [`${core}ServiceAccount`]: 'An identity for processes in pods.',
  [`${core}PersistentVolume`]: 'Storage in the cluster, with a life of its own.',
  [`${core}PersistentVolumeClaim`]: 'A request for storage.',
  [`${core}ReplicationController`]: 'Keeps a number of pods running; Deployments have replaced it.',
  [`${core}ResourceQuota`]: 'Limits on what a namespace may use in total.',
  [`${core}LimitRange`]: 'Limits and defaults for single objects of a namespace.',
  [`${core}Endpoints`]: 'Addresses behind a service; EndpointSlices have replaced it.',
  [`${apps}Deployment`]: 'Keeps a number of equal pods running and rolls out changes of their template.',
  [`${apps}DeploymentSpec`]: 'The pods that a Deployment wants, and how it replaces them.',
  [`${apps}DeploymentStatus`]: 'What a Deployment last observed.',
  [`${apps}DeploymentStrategy`]: 'How old pods are replaced by new ones.',
  [`${apps}ReplicaSet`]: 'Keeps a number of equal pods running.',
  [`${apps}StatefulSet`]: 'Keeps pods with stable names and storage running.',
  [`${apps}DaemonSet`]: 'Keeps one pod on each matching node.',
  [`${apps}ControllerRevision`]: 'An immutable snapshot of the template of a workload.',
  'k8s.io.api.batch.v1.Job': 'Runs pods until enough of them succeed.',
  'k8s.io.api.batch.v1.CronJob': 'Creates Jobs by a schedule.',
  'k8s.io.api.networking.v1.Ingress': 'Routes HTTP from outside to services.',
  'k8s.io.api.networking.v1.NetworkPolicy': 'Says which traffic a set of pods allows.',
  'k8s.io.api.rbac.v1.Role': 'Permissions inside one namespace.',
  'k8s.io.api.rbac.v1.ClusterRole': 'Permissions for the whole cluster, or for reuse in namespaces.',
  'k8s.io.api.rbac.v1.RoleBinding': 'Grants a role inside one namespace.',
  'k8s.io.api.rbac.v1.ClusterRoleBinding': 'Grants a cluster role everywhere.',
  'k8s.io.api.autoscaling.v2.HorizontalPodAutoscaler': 'Scales a workload by metrics.',
  'k8s.io.api.policy.v1.PodDisruptionBudget': 'Limits how many pods may be evicted at the same time.',
  'k8s.io.api.coordination.v1.Lease': 'A lock with an expiry, for leader election and heartbeats.',
  [`${meta}ObjectMeta`]: 'Data that every object has.',
  [`${meta}LabelSelector`]:
    'A query over labels. All parts must match; an empty selector matches everything.',
  [`${meta}DeleteOptions`]: 'Options of a delete request.',
  [`${meta}Status`]: 'The answer to a request that gives no object.',
  [`${meta}Time`]: 'A point in time, as RFC 3339 text.',
  'k8s.io.apimachinery.pkg.api.resource.Quantity':
    'An amount with a unit suffix, for example 100m, 2 or 1Gi.',
  'k8s.io.apimachinery.pkg.util.intstr.IntOrString':
    'A number, or a text such as a port name or a percentage.',
};

const fields: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [`${core}PodSpec`]: {
    containers: 'Containers of the pod, at least one. Cannot be added or removed later.',
    initContainers: 'Containers that run one after the other before the others start.',
    ephemeralContainers: 'Containers added to a running pod for debugging.',
    volumes: 'Volumes that the containers can mount.',
    restartPolicy: 'When containers are restarted: Always (default), OnFailure or Never.',
    terminationGracePeriodSeconds:
      'Seconds between asking the containers to stop and killing them. Default 30.',
    activeDeadlineSeconds: 'Seconds after which the pod fails, counted from its start.',
    dnsPolicy: 'How names are resolved. Default ClusterFirst.',
    nodeSelector: 'Labels that the node must have.',
    nodeName: 'The node that the pod is bound to.',
    serviceAccountName: 'The ServiceAccount that the pod runs as.',
    hostNetwork: "Use the node's network instead of one of its own.",
    securityContext: 'Security settings for the whole pod.',
    imagePullSecrets: 'Secrets with credentials for pulling images.',
    affinity: 'Rules that attract the pod to nodes or pods, or keep it away.',
    tolerations: 'Taints of nodes that the pod tolerates.',
    priorityClassName: 'The PriorityClass of the pod.',
    topologySpreadConstraints: 'How pods spread over zones, nodes and other domains.',
    schedulerName: 'The scheduler that places the pod.',
  },
  [`${core}Container`]: {
    name: 'Name of the container, a DNS label that is unique in the pod.',
    image: 'Name of the image.',
    command: "What to run instead of the image's entrypoint. $(VAR) is expanded from the environment.",
    args: "Arguments instead of the image's. $(VAR) is expanded from the environment.",
    env: 'Environment variables.',
    envFrom: 'ConfigMaps and Secrets whose entries become environment variables.',
    ports: 'Ports that the container listens on, for information.',
    resources: 'Compute resources that are reserved, and their limits.',
    volumeMounts: 'Volumes to mount into the file system.',
    livenessProbe: 'The container is restarted when this check fails.',
    readinessProbe: 'The container gets no traffic from services while this check fails.',
    startupProbe: 'The other checks start when this one has succeeded.',
    imagePullPolicy: 'When to pull the image: Always, IfNotPresent or Never.',
    securityContext: 'Security settings of the container.',
    workingDir: 'Working directory of the process.',
  },
  [`${apps}DeploymentSpec`]: {
    replicas: 'Number of pods wanted. Default 1.',
    selector: "Label query for the pods; must match the template's labels. Cannot be changed.",
    template: 'The pods to create.',
    strategy: 'How old pods are replaced by new ones.',
    minReadySeconds: 'Seconds that a new pod must be ready before it counts as available.',
    revisionHistoryLimit: 'Number of old ReplicaSets to keep for rollback. Default 10.',
    paused: 'Whether changes of the template are held back.',
    progressDeadlineSeconds:
      'Seconds without progress after which the rollout counts as failed. Default 600.',
  },
  [`${core}ServiceSpec`]: {
    type: 'How the service is reached: ClusterIP (default), NodePort, LoadBalancer or ExternalName.',
    selector: 'Labels of the pods behind the service.',
    ports: 'Ports of the service.',
    clusterIP: 'Virtual address of the service; None for a headless one.',
    externalName: 'DNS name that an ExternalName service stands for.',
    sessionAffinity: 'Whether a client keeps its pod: ClientIP or None (default).',
  },
  [`${meta}ObjectMeta`]: {
    name: 'Name, unique among objects of the kind in the namespace. Cannot be changed.',
    generateName: 'Beginning of a name that the server completes, when no name is given.',
    namespace: 'The namespace of the object. Cannot be changed.',
    labels: 'Keys and values to select objects by.',
    annotations: 'Keys and values for tools; not for selection.',
    uid: 'Identity in time and space, set by the server.',
    resourceVersion: 'Opaque version of the object, for watches and for detecting conflicts.',
    creationTimestamp: 'CreationTimestamp is a timestamp of when the object was created, set by the server.',
    deletionTimestamp: 'When the object will be or was asked to be deleted, set by the server.',
    finalizers: 'Names that must be removed before the object disappears.',
    ownerReferences: 'Objects that this one depends on; it is collected when all are gone.',
    generation: 'Counts changes of the wanted state, set by the server.',
    managedFields: 'Which manager set which fields, kept by the server.',
  },
};

export function kindDescription(message: string): string | undefined {
  const text = kinds[message];
  if (text !== undefined) return text;
  const list = /^(.*\.)(\w+)List$/.exec(message);
  return list && kinds[`${list[1] as string}${list[2] as string}`] !== undefined
    ? `A list of ${list[2] as string} objects.`
    : undefined;
}

export function fieldDescription(message: string, field: string): string | undefined {
  const own = fields[message];
  if (own && Object.hasOwn(own, field)) return own[field];
  return Object.hasOwn(everyKind, field) ? everyKind[field] : undefined;
}
