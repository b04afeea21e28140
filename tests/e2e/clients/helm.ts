import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectResult } from '../checks.ts';
import type { ClientContext } from './suite.ts';
import { commandWith, findProgram } from './suite.ts';

const files: Readonly<Record<string, string>> = {
  'Chart.yaml': 'apiVersion: v2\nname: boat\nversion: 0.1.0\nappVersion: "1"\n',
  'values.yaml': 'replicas: 2\nimage: nginx:1\ncolour: red\nbroken: false\n',
  'values.schema.json': '{"type":"object","properties":{"replicas":{"type":"integer","minimum":0}}}',
  'crds/sails.yaml': `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: sails.boat.example.com}
spec:
  group: boat.example.com
  scope: Namespaced
  names: {kind: Sail, listKind: SailList, plural: sails, singular: sail}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {area: {type: integer}}}}}}
`,
  'templates/deployment.yaml': `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}, labels: {app: boat}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
{{- if .Values.broken }}
      nodeSelector: {nowhere: "true"}
{{- end }}
      containers:
      - name: c
        image: {{ .Values.image }}
        envFrom: [{configMapRef: {name: {{ .Release.Name }}}}]
`,
  'templates/config.yaml': `apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}}
data:
  colour: {{ .Values.colour }}
  server: {{ .Capabilities.KubeVersion.Version }}
  seen: "{{ with lookup "v1" "Namespace" "" "default" }}{{ .metadata.name }}{{ end }}"
`,
  'templates/service.yaml': `apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 80}]}
`,
  'templates/sail.yaml':
    'apiVersion: boat.example.com/v1\nkind: Sail\nmetadata: {name: {{ .Release.Name }}}\nspec: {area: 7}\n',
  'templates/hook.yaml': `apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .Release.Name }}-before
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    metadata: {annotations: {pilothouse.dev/simulated-run: 500ms}}
    spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}
`,
  'templates/tests/test.yaml': `apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations: {helm.sh/hook: test, pilothouse.dev/simulated-run: 500ms}
spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}
`,
  'templates/NOTES.txt': 'The boat {{ .Release.Name }} is {{ .Values.colour }}.\n',
};

/** A chart's life: CRD, hooks, waiting, a failed upgrade that rolls itself back, tests. */
export async function helm(context: ClientContext): Promise<void> {
  const { checks, kubectl, scratch, kubeconfig } = context;
  const chart = path.join(scratch, 'boat');
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(chart, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const program = commandWith(findProgram('helm'), kubeconfig);
  const home = { HELM_CACHE_HOME: scratch, HELM_CONFIG_HOME: scratch, HELM_DATA_HOME: scratch };
  const step = (
    args: string,
    wanted: Parameters<typeof expectResult>[2] = {},
    tool: 'helm' | 'kubectl' = 'helm',
  ): Promise<boolean> =>
    checks.check(`${tool} ${args.replaceAll(scratch, '')}`, async () => {
      const run = tool === 'helm' ? program : kubectl;
      const result = await run([...args.split(' '), '-n', 'harbour'], { env: home, timeoutMs: 90_000 });
      expectResult(args, result, wanted);
    });
  const asks = (args: string, pattern: RegExp): Promise<boolean> =>
    step(args, { matches: [pattern] }, 'kubectl');

  await step(`lint ${chart}`, { matches: [/0 chart\(s\) failed/] });
  await step(`template boat ${chart}`, { matches: [/kind: Deployment/] });
  await step(`install boat ${chart} --create-namespace --set replicas=-1`, {
    code: 1,
    matches: [/replicas/],
  });
  await step(`install boat ${chart} --create-namespace --wait --timeout 60s`, {
    matches: [/STATUS: deployed/, /The boat boat is red/],
  });
  await asks('get deployment boat -o jsonpath={.status.readyReplicas}', /^2$/);
  await asks('get sail boat -o jsonpath={.spec.area}', /^7$/);
  await asks('get jobs', /No resources found/);
  await step(`install boat ${chart}`, { code: 1, matches: [/cannot re-use a name/] });
  await step('list', { matches: [/boat\s+harbour\s+1\s+.*deployed/] });
  await step('test boat --timeout 60s', { matches: [/Phase:\s+Succeeded/] });
  await step(`upgrade boat ${chart} --dry-run=server`, {
    matches: [/STATUS: pending-upgrade/, /seen: "default"/],
  });
  await step(`upgrade boat ${chart} --set colour=blue --wait --timeout 60s`, {
    matches: [/REVISION: 2/, /is blue/],
  });
  await asks('get configmap boat -o jsonpath={.data.colour}', /^blue$/);
  await step(`upgrade boat ${chart} --reuse-values --set broken=true,image=nginx:9 --atomic --timeout 6s`, {
    code: 1,
    matches: [/rolled back due to atomic being set|rollback/],
  });
  await asks('get deployment boat -o jsonpath={.spec.template.spec.containers[0].image}', /^nginx:1$/);
  await step('history boat', { matches: [/failed/, /Rollback to 2/] });
  await step('rollback boat 1 --wait --timeout 60s', { matches: [/Rollback was a success/] });
  await asks('get configmap boat -o jsonpath={.data.colour}', /^red$/);
  await step('get manifest boat', { matches: [/kind: Sail/] });
  await step('get values boat -a', { matches: [/colour: red/] });
  await step('status boat --show-resources', {
    matches: [/STATUS: deployed/, /==> v1\/ConfigMap|==> v1\/Service/],
  });
  await step('uninstall boat --wait --timeout 60s', { matches: [/release "boat" uninstalled/] });
  await asks('get deployment,service,sail --ignore-not-found', /^$/);
  await step('list -a', { lacks: [/boat\s+harbour/] });
  await step('delete namespace harbour --timeout=40s', { matches: [/deleted/] }, 'kubectl');
}
