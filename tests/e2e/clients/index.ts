import { prepareHelm, prepareTools } from '../tools.ts';
import { aggregation } from './aggregation.ts';
import { helm } from './helm.ts';
import { kubectlSession } from './kubectl-session.ts';
import { clientGo, clientNode, operator, python } from './programs.ts';
import type { ClientContext } from './suite.ts';
import { runClientSuite } from './suite.ts';

interface Entry {
  readonly suite: (context: ClientContext) => Promise<void>;
  readonly help: string;
  /** Starts what it needs itself. */
  readonly withoutPlane?: boolean;
}

const suites: Readonly<Record<string, Entry>> = {
  'clients-aggregation': { suite: aggregation, help: 'a stock extension API server behind an APIService' },
  'clients-kubectl': { suite: kubectlSession, help: 'a session over the verbs of kubectl' },
  'clients-helm': { suite: helm, help: 'a chart installed, upgraded, rolled back, tested and uninstalled' },
  'clients-go': { suite: clientGo, help: 'client-go: WatchList, protobuf, apply, leader election, paging' },
  'clients-python': { suite: python, help: 'the Python client: typed, dynamic, watch, leader election' },
  'clients-node': { suite: clientNode, help: '@kubernetes/client-node: informers, apply, patches' },
  'clients-operator': {
    suite: operator,
    help: "a controller-runtime operator under envtest, on this project's etcd and kube-apiserver",
    withoutPlane: true,
  },
};

/** Suites that share a plane well and end soon. */
const quick = ['clients-kubectl', 'clients-helm', 'clients-python', 'clients-node'];

/** One line a suite. */
export const clientSuitesHelp = [
  ...Object.entries(suites),
  [
    'clients',
    { help: `${quick.map((name) => name.slice('clients-'.length)).join(', ')} on one plane` },
  ] as const,
]
  .map(([name, { help }]) => `npm run e2e -- ${`${name} [--kubeconfig FILE]`.padEnd(44)}${help}\n`)
  .join('');

/** The quick suites one after another, on one plane, with programs made from their Go modules where there are none. */
async function quickSuites(options: {
  readonly port: number;
  readonly kubeconfig?: string;
}): Promise<number> {
  const tools = await prepareTools();
  process.env['KUBECTL'] = tools.kubectl;
  process.env['HELM'] = await prepareHelm();
  return runClientSuite(
    'clients',
    async (context) => {
      for (const name of quick) await (suites[name] as Entry).suite(context);
    },
    options,
  );
}

/** Exit status; undefined: there is no suite of that name. */
export function clientSuite(
  name: string,
  options: { readonly port: number; readonly kubeconfig?: string },
): Promise<number> | undefined {
  if (name === 'clients') return quickSuites(options);
  const entry = Object.hasOwn(suites, name) ? suites[name] : undefined;
  if (entry === undefined) return undefined;
  return runClientSuite(name, entry.suite, { ...options, withoutPlane: entry.withoutPlane === true });
}
