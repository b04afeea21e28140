import { readFileSync } from 'node:fs';

const webApp = readFileSync(new URL('./web-app.mjs', import.meta.url), 'utf8');

/** A pod that talks, one that listens, one that crashes, and a small web app behind a Service. JSON, as kubectl takes it. */
export function connectManifests(): string {
  const pod = (name: string, spec: Record<string, unknown>): unknown => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 3, ...spec },
  });
  const shell = (name: string, script: string, more: Record<string, unknown> = {}): unknown => ({
    name,
    image: 'host',
    command: ['sh', '-c', script],
    ...more,
  });
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'web-app' },
        data: { 'app.mjs': webApp, greeting: 'hello' },
      },
      pod('talker', {
        initContainers: [shell('first', 'echo from init')],
        containers: [
          shell(
            'main',
            'echo started; echo problem >&2; n=0; while true; do echo tick $n; n=$((n+1)); sleep 1; done',
            {
              env: [
                { name: 'GREETING', valueFrom: { configMapKeyRef: { name: 'web-app', key: 'greeting' } } },
                { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
                { name: 'BOTH', value: '$(GREETING) from $(NODE)' },
              ],
              volumeMounts: [
                { name: 'config', mountPath: '/etc/app' },
                { name: 'scratch', mountPath: '/scratch' },
              ],
            },
          ),
          shell('second', 'echo second container; exec sleep 100000'),
        ],
        volumes: [
          { name: 'config', configMap: { name: 'web-app' } },
          { name: 'scratch', emptyDir: {} },
        ],
      }),
      pod('listener', {
        containers: [
          shell('main', 'while read line; do echo "got $line"; done; echo end of input; sleep 100000', {
            stdin: true,
          }),
        ],
      }),
      pod('crasher', { containers: [shell('main', 'echo about to fail; exit 3')] }),
      pod('finisher', {
        restartPolicy: 'Never',
        containers: [shell('main', 'for i in 1 2 3 4 5; do echo step $i; sleep 0.2; done')],
      }),
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'web' },
        spec: {
          replicas: 2,
          selector: { matchLabels: { app: 'web' } },
          template: {
            metadata: { labels: { app: 'web' } },
            spec: {
              terminationGracePeriodSeconds: 3,
              containers: [
                {
                  name: 'main',
                  image: 'host',
                  command: [process.execPath, 'etc/app/app.mjs'],
                  ports: [
                    { name: 'http', containerPort: 8080 },
                    { name: 'echo', containerPort: 9090 },
                  ],
                  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
                  livenessProbe: { tcpSocket: { port: 'echo' } },
                  volumeMounts: [{ name: 'config', mountPath: '/etc/app' }],
                },
              ],
              volumes: [{ name: 'config', configMap: { name: 'web-app' } }],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web' },
        spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
      },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader' } },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'reader' },
        rules: [{ apiGroups: [''], resources: ['pods', 'pods/exec', 'pods/log'], verbs: ['get'] }],
      },
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'reader' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' },
        subjects: [{ kind: 'ServiceAccount', name: 'reader' }],
      },
    ],
  });
}
