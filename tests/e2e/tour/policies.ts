import path from 'node:path';
import type { Checks } from '../checks.ts';
import { repository } from '../tools.ts';
import type { Kubectl } from './kubectl.ts';

const folder = path.join(repository, 'examples', 'policies');
const soon = 15_000;
const pod = (name: string, security: object, limits?: object): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      securityContext: security,
      containers: [{ name: 'c', image: 'x', ...(limits === undefined ? {} : { resources: { limits } }) }],
    },
  });

/** The policies of examples/policies: a default CPU limit is added, running as root is refused. */
export async function policies(checks: Checks, kubectl: Kubectl): Promise<void> {
  const cpu = `-o jsonpath='{.spec.containers[0].resources.limits.cpu}'`;
  await kubectl.steps(checks, [
    {
      args: `apply -f ${folder}`,
      matches: [/mutatingadmissionpolicy.*default-cpu-limit created/, /no-root created/],
    },
    {
      name: 'create a pod as root, which no-root refuses',
      args: 'create --dry-run=server -f -',
      input: pod('root', {}),
      code: 1,
      matches: [
        /ValidatingAdmissionPolicy 'no-root' with binding 'no-root' denied request: containers would run as root: c/,
      ],
      withinMs: soon,
    },
    {
      name: 'create a pod without a CPU limit, which gets one',
      args: `create --dry-run=server ${cpu} -f -`,
      input: pod('plain', { runAsNonRoot: true }),
      matches: [/^500m$/],
      withinMs: soon,
    },
    {
      name: 'create a pod with a CPU limit, which keeps it',
      args: `create --dry-run=server ${cpu} -f -`,
      input: pod('own', { runAsNonRoot: true }, { cpu: '2' }),
      matches: [/^2$/],
    },
    { args: `delete -f ${folder}`, matches: [/no-root" deleted/] },
  ]);
}
