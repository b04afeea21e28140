import type { Client } from '../client.ts';
import { rules } from './expressions.ts';
import { definition, mutatingPolicies, validatingPolicies } from './objects.ts';

interface Said {
  readonly status: number;
  readonly message: string;
}

interface Difference {
  readonly what: string;
  readonly stock: Said;
  readonly ours: Said;
}

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All';
const policies = '/apis/admissionregistration.k8s.io/v1';

/** Differences that docs/compatibility.md tells, taken out of a message. */
function comparable(message: string): string {
  return (
    message
      // Upstream makes up names for types of objects, new ones each time.
      .replaceAll(/selfType\d+(?:\.[\w@.]+)*/g, 'object')
      // Objects in messages are Go's text of the whole schema.
      .replaceAll(/Invalid value: \{.*?\}: /gs, '')
  );
}

async function said(client: Client, path: string, body: unknown): Promise<Said> {
  const { status, text } = await client.call('POST', path, body);
  if (status < 400) return { status, message: '' };
  const message = (JSON.parse(text) as { message?: string }).message ?? '';
  return { status, message: comparable(message) };
}

/** `cel.bind` and unknown fields of JSONPatch are refused by both, in other words. */
const isKnown = (what: string, { stock, ours }: Pick<Difference, 'stock' | 'ours'>): boolean =>
  stock.status === ours.status && (what.includes('cel.bind(') || what.includes('JSONPatch{nope'));

/** Sends rules of definitions and policies to both servers as dry runs. True when the answers are the same. */
export async function compareCel(stock: Client, ours: Client, verbose: boolean): Promise<boolean> {
  const ofPolicy = (resource: string) => (body: Readonly<Record<string, unknown>>) => ({
    what: JSON.stringify({ ...(body['spec'] as object), matchConstraints: undefined }),
    path: `${policies}/${resource}?dryRun=All`,
    body,
  });
  const cases = [
    ...rules.map((rule) => ({ what: rule, path: definitions, body: definition(rule) })),
    ...validatingPolicies().map(ofPolicy('validatingadmissionpolicies')),
    ...mutatingPolicies().map(ofPolicy('mutatingadmissionpolicies')),
  ];
  const found: Difference[] = [];
  let known = 0;
  for (const { what, path, body } of cases) {
    const difference = {
      what,
      stock: await said(stock, path, body),
      ours: await said(ours, path, body),
    };
    if (
      difference.stock.status === difference.ours.status &&
      difference.stock.message === difference.ours.message
    )
      continue;
    if (isKnown(what, difference)) known++;
    else found.push(difference);
  }
  for (const { what, stock: theirs, ours: own } of found) {
    process.stdout.write(`${what}\n      stock ${theirs.status}, ours ${own.status}\n`);
    if (verbose)
      process.stdout.write(
        `      stock ${theirs.message.slice(0, 2000)}\n      ours  ${own.message.slice(0, 2000)}\n`,
      );
  }
  process.stdout.write(`${known} differ as docs/compatibility.md says\n`);
  process.stdout.write(`differential cel: ${cases.length - found.length} passed, ${found.length} failed\n`);
  return found.length === 0;
}
