import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expectResult, run } from '../checks.ts';
import type { Checks } from '../checks.ts';
import type { Plane } from '../plane.ts';
import type { Tools } from '../tools.ts';
import { clients, store } from './clients.ts';
import { Kubectl } from './kubectl.ts';
import * as manifests from './manifests.ts';
import { policies } from './policies.ts';

const soon = 30_000;

/** Every command and snippet that a new user is promised, against a running plane. */
export async function tour(checks: Checks, tools: Tools, kubeconfig: string, plane?: Plane): Promise<void> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-tour-'));
  try {
    const kubectl = new Kubectl(tools.kubectl, kubeconfig);
    await look(checks, kubectl);
    await podsAndDeployments(checks, kubectl, directory);
    await debugging(checks, kubectl);
    await customResources(checks, kubectl);
    await access(checks, kubectl);
    await policies(checks, kubectl);
    await moreKinds(checks, kubectl, directory);
    await nodes(checks, kubectl);
    await clients(checks, tools, kubeconfig);
    await store(checks, tools, plane);
    await endings(checks, kubectl);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function look(checks: Checks, kubectl: Kubectl): Promise<void> {
  await kubectl.steps(checks, [
    { args: 'version', matches: [/Server Version: v1\.36/] },
    { args: 'get --raw /', matches: [/"\/api"/, /"\/apis\/apps\/v1"/, /"\/openapi\/v3"/] },
    {
      args: 'api-resources',
      matches: [
        /^pods\s+po\s+v1\s+true\s+Pod/m,
        /^deployments\s+deploy\s+apps\/v1/m,
        /^customresourcedefinitions\s+crd,crds/m,
      ],
    },
    { args: 'api-versions', matches: [/^apps\/v1$/m, /^v1$/m, /^autoscaling\/v2$/m] },
    { args: 'cluster-info', matches: [/Kubernetes control plane.* is running at/] },
    { args: 'config view', matches: [/kind: Config/, /certificate-authority-data: DATA\+OMITTED/] },
    { args: 'get nodes', matches: [/node-0\s+Ready/, /node-2\s+Ready/], withinMs: soon },
    {
      args: 'get namespaces',
      matches: [/default\s+Active/, /kube-system\s+Active/, /kube-node-lease\s+Active/],
    },
    { args: 'get --raw /api/v1/namespaces/default', matches: [/"kind":"Namespace"/] },
    { args: 'get --raw /readyz?verbose', matches: [/\[\+\]etcd ok/, /readyz check passed/] },
    {
      args: 'explain pod.spec',
      matches: [/KIND:\s+Pod/, /FIELD: spec <PodSpec>/, /containers\s+<\[\]Container> -required-/],
    },
  ]);
}

async function podsAndDeployments(checks: Checks, kubectl: Kubectl, directory: string): Promise<void> {
  const podFile = path.join(directory, 'pod.yaml');
  writeFileSync(podFile, manifests.pod);
  const watch = kubectl.background('get pods --watch');
  await kubectl.steps(checks, [
    { args: `create -f ${podFile}`, matches: [/^pod\/nginx-pod created/] },
    {
      args: `create -f ${podFile}`,
      name: 'create -f pod.yaml (again)',
      code: 1,
      matches: [
        /Error from server \(AlreadyExists\): error when creating ".*": pods "nginx-pod" already exists/,
      ],
    },
    {
      args: 'apply -f -',
      name: 'apply -f (first)',
      input: manifests.pod.replaceAll('nginx-pod', 'applied'),
      matches: [/^pod\/applied created/],
    },
    {
      args: 'apply -f -',
      name: 'apply -f (second)',
      input: manifests.pod.replaceAll('nginx-pod', 'applied'),
      matches: [/^pod\/applied unchanged/],
    },
    { args: 'run nginx --image=nginx', matches: [/^pod\/nginx created/] },
    { args: 'get pods', matches: [/nginx\s+1\/1\s+Running/, /nginx-pod\s+1\/1\s+Running/], withinMs: soon },
    { args: 'get pods -o wide', matches: [/NODE\s+NOMINATED NODE/, /node-\d/] },
    { args: 'get pod nginx -o yaml', matches: [/^kind: Pod/m, /phase: Running/] },
    {
      args: 'create deployment web --image=nginx:1.26 --replicas=2',
      matches: [/^deployment\.apps\/web created/],
    },
    { args: 'rollout status deployment/web --timeout=60s', matches: [/successfully rolled out/] },
    {
      args: 'wait --for=condition=Available deployment/web --timeout=30s',
      matches: [/deployment\.apps\/web condition met/],
    },
    { args: 'scale deployment web --replicas=5', matches: [/^deployment\.apps\/web scaled/] },
    { args: 'get deployment web', matches: [/web\s+5\/5\s+5\s+5/], withinMs: soon },
    {
      args: 'set image deployment/web nginx=nginx:1.27 --record',
      matches: [/deployment\.apps\/web image updated/],
    },
    {
      args: 'rollout status deployment/web --timeout=60s',
      name: 'rollout status (new image)',
      matches: [/successfully rolled out/],
    },
    {
      args: 'rollout history deployment/web',
      matches: [/REVISION\s+CHANGE-CAUSE/, /2\s+kubectl.* set image/],
    },
    { args: 'rollout undo deployment/web', matches: [/deployment\.apps\/web rolled back/] },
    {
      args: 'rollout status deployment/web --timeout=60s',
      name: 'rollout status (undone)',
      matches: [/successfully rolled out/],
    },
    {
      args: "get deployment web -o jsonpath='{.spec.template.spec.containers[0].image}'",
      matches: [/^nginx:1\.26$/],
    },
    { args: 'expose deployment web --port=80', matches: [/^service\/web exposed/] },
    {
      args: 'get endpointslices -l kubernetes.io/service-name=web',
      matches: [/IPv4\s+80\s+10\.244\./],
      withinMs: soon,
    },
    { args: 'label pod nginx tier=front', matches: [/^pod\/nginx labeled/] },
    { args: 'get pods -l tier=front', matches: [/nginx/], lacks: [/nginx-pod/] },
    { args: 'annotate pod nginx note=hello', matches: [/^pod\/nginx annotated/] },
    {
      args: 'diff -f -',
      name: 'diff (a change)',
      input: manifests.pod.replaceAll('nginx-pod', 'applied').replace('1.27', '1.28'),
      code: 1,
      matches: [/\+\s+- image: nginx:1\.28|\+.*image: nginx:1\.28/],
    },
    {
      args: 'replace --force -f -',
      name: 'replace --force',
      input: manifests.pod.replaceAll('nginx-pod', 'applied'),
      matches: [/pod "applied" deleted/, /pod\/applied replaced/],
    },
  ]);
  await checks.check('kubectl get pods --watch shows the pod become ready', async () => {
    await watch.until(/nginx-pod\s+1\/1\s+Running/, soon);
  });
  watch.stop();
}

async function debugging(checks: Checks, kubectl: Kubectl): Promise<void> {
  await kubectl.steps(checks, [
    {
      args: 'describe pod nginx',
      matches: [/^Name:\s+nginx$/m, /Status:\s+Running/, /Successfully assigned default\/nginx to node-\d/],
    },
    {
      args: 'describe deployment web',
      matches: [/StrategyType:\s+RollingUpdate/, /Scaled up replica set web-/],
    },
    { args: 'describe node node-0', matches: [/KubeletReady/, /Allocated resources/] },
    { args: 'events', matches: [/ScalingReplicaSet/] },
    {
      args: 'get pods -v=6',
      matches: [
        /verb="GET".*\/api\/v1\/namespaces\/default\/pods.*status="200 OK"|GET https:.*\/pods.*200 OK/,
      ],
    },
    { args: 'get pods -v=9', matches: [/Response Body|curl -v/i] },
  ]);
  const proxy = kubectl.background('proxy --port=0');
  await checks.check('kubectl proxy + curl', async () => {
    const output = await proxy.until(/Starting to serve on (127\.0\.0\.1:\d+)/, soon);
    const address = /127\.0\.0\.1:\d+/.exec(output)?.[0] ?? '';
    for (const [where, pattern] of [
      ['/api/', /"kind": ?"APIVersions"/],
      ['/apis', /"kind": ?"APIGroupList"/],
      ['/apis/apps/v1/namespaces/kube-system/deployments', /"kind": ?"DeploymentList"/],
    ] as const) {
      expectResult(`curl ${where}`, await run('curl', ['-sS', `http://${address}${where}`]), {
        matches: [pattern],
      });
    }
  });
  proxy.stop();
}

async function customResources(checks: Checks, kubectl: Kubectl): Promise<void> {
  await kubectl.steps(checks, [
    {
      args: 'apply -f -',
      name: 'apply -f websites.yaml',
      input: manifests.websiteDefinition,
      matches: [/customresourcedefinition\.apiextensions\.k8s\.io\/websites\.example\.com created/],
    },
    {
      args: 'wait --for=condition=Established crd/websites.example.com --timeout=30s',
      matches: [/condition met/],
    },
    {
      args: 'apply -f -',
      name: 'apply -f website.yaml',
      input: manifests.website,
      matches: [/website\.example\.com\/shop created/],
      withinMs: soon,
    },
    { args: 'get ws', matches: [/NAME\s+DOMAIN\s+REPLICAS/, /shop\s+shop\.example\.com\s+1/] },
    {
      args: 'apply -f -',
      name: 'apply -f a website that breaks its schema',
      input: manifests.badWebsite,
      code: 1,
      matches: [/Invalid value/],
    },
    { args: 'scale ws/shop --replicas=3', matches: [/website\.example\.com\/shop scaled/] },
    { args: 'explain ws.spec', matches: [/domain\s+<string> -required-/], withinMs: soon },
    { args: 'delete crd websites.example.com', matches: [/deleted/] },
    {
      args: 'get ws',
      name: 'get ws (gone)',
      code: 1,
      matches: [/doesn't have a resource type "ws"|could not find the requested resource/],
      withinMs: soon,
    },
  ]);
}

async function access(checks: Checks, kubectl: Kubectl): Promise<void> {
  const account = '--as=system:serviceaccount:default:read-only-user';
  await kubectl.steps(checks, [
    {
      args: 'apply -f -',
      name: 'apply -f rbac.yaml',
      input: manifests.rbac,
      matches: [
        /role\.rbac\.authorization\.k8s\.io\/pod-reader created/,
        /serviceaccount\/read-only-user created/,
      ],
    },
    { args: 'auth can-i list pods --as=jane', matches: [/^yes/], withinMs: 5_000 },
    { args: 'auth can-i delete pods --as=jane', code: 1, matches: [/^no/] },
    { args: `get pods ${account}`, matches: [/nginx/], withinMs: 5_000 },
    {
      args: `describe pod nginx ${account}`,
      code: 1,
      matches: [
        /Error from server \(Forbidden\): pods "nginx" is forbidden: User "system:serviceaccount:default:read-only-user" cannot get resource "pods" in API group "" in the namespace "default"/,
      ],
    },
    { args: `auth can-i list pods ${account}`, matches: [/^yes/] },
    { args: `auth can-i create deployments ${account}`, code: 1, matches: [/^no/] },
  ]);
  await checks.check('curl with a bearer token', async () => {
    const token = (await kubectl.run('create token read-only-user')).stdout.trim();
    const server = (
      await kubectl.run("config view --minify -o jsonpath='{.clusters[0].cluster.server}'")
    ).stdout.trim();
    const pods = await run('curl', [
      '-sSk',
      '-H',
      `Authorization: Bearer ${token}`,
      `${server}/api/v1/namespaces/default/pods`,
    ]);
    expectResult('curl pods', pods, { matches: [/"kind": ?"PodList"/] });
    const secrets = await run('curl', [
      '-sSk',
      '-H',
      `Authorization: Bearer ${token}`,
      `${server}/api/v1/namespaces/default/secrets`,
    ]);
    expectResult('curl secrets', secrets, {
      matches: [
        /secrets is forbidden: User \\"system:serviceaccount:default:read-only-user\\" cannot list resource \\"secrets\\"/,
      ],
    });
    expectResult('curl without credentials', await run('curl', ['-sSk', `${server}/api/v1/pods`]), {
      matches: [/User \\"system:anonymous\\" cannot list resource \\"pods\\"/],
    });
    expectResult(
      'curl with a bad token',
      await run('curl', ['-sSk', '-H', 'Authorization: Bearer nonsense', `${server}/api/v1/pods`]),
      { matches: [/"reason": ?"Unauthorized"/] },
    );
  });
}

async function moreKinds(checks: Checks, kubectl: Kubectl, directory: string): Promise<void> {
  const file = path.join(directory, 'cluster.yaml');
  writeFileSync(file, manifests.clusterObjects);
  await kubectl.steps(checks, [
    {
      args: `apply -f ${file}`,
      name: 'apply -f StorageClass and PersistentVolume',
      matches: [/storageclass\.storage\.k8s\.io\/tour-fast created/, /persistentvolume\/tour-volume created/],
    },
    {
      args: 'apply -f -',
      name: 'apply -f HPA, Ingress, NetworkPolicy, PVC',
      input: manifests.objects,
      matches: [
        /horizontalpodautoscaler\.autoscaling\/web created/,
        /ingress\.networking\.k8s\.io\/web created/,
        /networkpolicy\.networking\.k8s\.io\/deny-all created/,
        /persistentvolumeclaim\/data created/,
      ],
    },
    {
      args: 'apply -f -',
      name: 'apply -f HPA autoscaling/v1',
      input: manifests.hpaV1,
      matches: [/horizontalpodautoscaler\.autoscaling\/old-style created/],
    },
    { args: 'get hpa', matches: [/web\s+Deployment\/web/, /old-style\s+Deployment\/web/] },
    {
      args: 'get horizontalpodautoscalers.v1.autoscaling old-style -o yaml',
      matches: [/apiVersion: autoscaling\/v1/, /targetCPUUtilizationPercentage: 60/],
    },
    {
      args: 'get ingress,networkpolicy,pvc,storageclass,pv',
      matches: [/web\.example\.com/, /deny-all/, /data\s+Pending/, /tour-fast/, /tour-volume/],
    },
    { args: 'create namespace limited', matches: [/namespace\/limited created/] },
    {
      args: 'apply -n limited -f -',
      name: 'apply -f LimitRange',
      input: manifests.limitRange,
      matches: [/limitrange\/limits created/],
    },
    { args: 'run small -n limited --image=nginx', matches: [/pod\/small created/], withinMs: 10_000 },
    {
      args: "get pod small -n limited -o jsonpath='{.spec.containers[0].resources}'",
      name: 'the limit range added a default CPU limit',
      matches: [/"cpu":"200m"/],
    },
    { args: 'create namespace counted', matches: [/namespace\/counted created/] },
    {
      args: 'apply -n counted -f -',
      name: 'apply -f ResourceQuota',
      input: manifests.quota,
      matches: [/resourcequota\/few-pods created/],
    },
    {
      args: "get resourcequota few-pods -n counted -o jsonpath='{.status.hard.pods}'",
      name: 'the quota is counted',
      matches: [/^1$/],
      withinMs: soon,
    },
    { args: 'run first -n counted --image=nginx', matches: [/pod\/first created/], withinMs: 10_000 },
    {
      args: 'run second -n counted --image=nginx',
      code: 1,
      matches: [
        /Error from server \(Forbidden\): pods "second" is forbidden: exceeded quota: few-pods, requested: pods=1, used: pods=1, limited: pods=1/,
      ],
    },
  ]);
}

async function nodes(checks: Checks, kubectl: Kubectl): Promise<void> {
  await kubectl.steps(checks, [
    { args: 'cordon node-1', matches: [/node\/node-1 cordoned/] },
    { args: 'get node node-1', matches: [/Ready,SchedulingDisabled/] },
    { args: 'drain node-1 --ignore-daemonsets --force --timeout=60s', matches: [/node\/node-1 drained/] },
    { args: 'get pods -A --field-selector=spec.nodeName=node-1', matches: [/No resources found/] },
    { args: 'uncordon node-1', matches: [/node\/node-1 uncordoned/] },
    {
      args: 'rollout status deployment/web --timeout=60s',
      name: 'the deployment is whole again',
      matches: [/successfully rolled out/],
    },
  ]);
}

async function endings(checks: Checks, kubectl: Kubectl): Promise<void> {
  await kubectl.steps(checks, [
    {
      args: 'delete namespace counted limited --timeout=60s',
      name: 'delete namespaces with content',
      matches: [/namespace "counted" deleted/],
    },
    {
      args: 'get namespace counted',
      code: 1,
      matches: [/Error from server \(NotFound\): namespaces "counted" not found/],
      withinMs: soon,
    },
    { args: 'delete deployment web', matches: [/deployment\.apps "web" deleted/] },
    {
      args: 'get pods -l app=web',
      name: 'its pods are gone',
      matches: [/No resources found/],
      withinMs: 60_000,
    },
    {
      args: 'delete hpa,ingress,networkpolicy,pvc,pod,service --all --timeout=60s',
      name: 'delete the rest',
      matches: [/deleted/],
    },
    {
      args: 'delete clusterrole,clusterrolebinding,storageclass,pv pods-list-only read-only-user tour-fast tour-volume --ignore-not-found',
      name: 'delete cluster-scoped objects',
    },
  ]);
}
