import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expectResult } from '../checks.ts';
import type { ClientContext } from './suite.ts';
import { changes, cluster, identities } from './kubectl-commands.ts';
import { workloads } from './kubectl-workloads.ts';

/** One command line of the session. `within` repeats it until it holds. */
export interface Step {
  /** Words of the command; a word with spaces is written in an array. */
  readonly run: string | readonly string[];
  readonly code?: number;
  readonly says?: readonly RegExp[];
  readonly lacks?: readonly RegExp[];
  readonly input?: string | object;
  readonly env?: Readonly<Record<string, string>>;
  readonly withinMs?: number;
}

/** Every verb of kubectl but those that need a container's inside (logs, exec, attach, cp, port-forward, debug). */
export async function kubectlSession(context: ClientContext): Promise<void> {
  const { checks, kubectl, scratch } = context;
  const editor = path.join(scratch, 'editor');
  writeFileSync(editor, '#!/bin/sh\nsed -i "s/colour: red/colour: blue/" "$1"\n');
  chmodSync(editor, 0o755);
  const kustomization = path.join(scratch, 'kustomize');
  mkdirSync(kustomization);
  writeFileSync(
    path.join(kustomization, 'kustomization.yaml'),
    'namePrefix: k-\nnamespace: session\nlabels: [{pairs: {app: kustomized}}]\nconfigMapGenerator: [{name: c, literals: [a=b]}]\n',
  );
  const plugins = path.join(scratch, 'bin');
  mkdirSync(plugins);
  const plugin = path.join(plugins, 'kubectl-hello');
  writeFileSync(plugin, '#!/bin/sh\necho hello from a plugin\n');
  chmodSync(plugin, 0o755);
  const env = { KUBE_EDITOR: editor, PATH: `${plugins}:${process.env['PATH'] ?? ''}` };
  const steps: readonly Step[] = [
    ...cluster,
    ...changes(kustomization),
    ...workloads,
    ...identities,
    { run: 'delete namespace session --wait=true --timeout=40s', says: [/namespace "session" deleted/] },
  ];
  for (const step of steps) {
    const words = typeof step.run === 'string' ? step.run.split(' ') : step.run;
    const { code = 0, says: matches = [], lacks = [] } = step;
    await checks.check(
      `kubectl ${words.join(' ').replaceAll(scratch, '')}`.slice(0, 110),
      async () => {
        const result = await kubectl(words, {
          env: { ...env, ...step.env },
          timeoutMs: 60_000,
          ...(step.input === undefined
            ? {}
            : { input: typeof step.input === 'string' ? step.input : JSON.stringify(step.input) }),
        });
        expectResult(words.join(' '), result, { code, matches, lacks });
      },
      step.withinMs ?? 0,
    );
  }
}
