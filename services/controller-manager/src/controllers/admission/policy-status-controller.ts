import type { CheckedKind, CheckedPolicy } from '@pilothouse/api/admissionregistration';
import { expressionWarnings } from '@pilothouse/api/admissionregistration';
import type { GroupVersionKind, KubeObject } from '@pilothouse/apimachinery';
import { hasReason, parseApiVersion } from '@pilothouse/apimachinery';
import { Controller } from '@pilothouse/client';
import { resources } from '../../common/resources.ts';
import type { ControllerFactory } from '../../context.ts';
import { loopOptions } from '../../context.ts';
import { KindSchemas } from './kind-schemas.ts';

/** More kinds of one policy are not looked at. */
const checkedKindsMax = 10;

interface PolicySpec extends CheckedPolicy {
  readonly paramKind?: { readonly apiVersion: string; readonly kind: string };
  readonly matchConstraints?: {
    readonly resourceRules?: readonly {
      readonly apiGroups?: readonly string[];
      readonly apiVersions?: readonly string[];
      readonly resources?: readonly string[];
    }[];
  };
}

/** Tells in a ValidatingAdmissionPolicy's status where its expressions do not fit the kinds that it is about. */
export const createPolicyStatusController: ControllerFactory = (context) => {
  const policies = context.informers.informer(resources.validatingAdmissionPolicies);
  const schemas = new KindSchemas(context.client, context.clock);
  const loop = new Controller(loopOptions(context), async (name) => {
    const policy = policies.lister.get(name);
    const generation = policy?.metadata.generation ?? 0;
    if (!policy || (policy['status']?.observedGeneration ?? 0) >= generation) return;
    const spec = (policy['spec'] ?? {}) as PolicySpec;
    const found = expressionWarnings(spec, await checkedKinds(spec, schemas), await paramsOf(spec, schemas));
    const typeChecking = found.length === 0 ? {} : { expressionWarnings: found };
    await context.client
      .update(
        resources.validatingAdmissionPolicies,
        { ...policy, status: { ...policy['status'], observedGeneration: generation, typeChecking } },
        { subresource: 'status' },
      )
      .catch((error: unknown) => {
        if (!hasReason(error, 'NotFound')) throw error;
      });
  });
  const enqueue = (policy: KubeObject): void => loop.queue.add(policy.metadata.name ?? '');
  policies.addHandler({ onAdd: enqueue, onUpdate: enqueue });
  return loop;
};

/** The kinds that the rules name, in the order of group, version and kind. Rules with wildcards name none. */
async function checkedKinds(spec: PolicySpec, schemas: KindSchemas): Promise<CheckedKind[]> {
  const kinds = new Map<string, GroupVersionKind>();
  for (const rule of spec.matchConstraints?.resourceRules ?? []) {
    const { apiGroups = [], apiVersions = [], resources: named = [] } = rule;
    if ([...apiGroups, ...apiVersions].some((each) => each.includes('*'))) continue;
    const plain = named.filter((each) => !/[*/]/.test(each));
    for (const group of [...apiGroups].sort())
      for (const version of [...apiVersions].sort())
        for (const resource of plain.sort()) {
          if (kinds.size >= checkedKindsMax) break;
          const kind = await schemas.kindOf(group, version, resource);
          if (kind !== undefined) kinds.set(`${group}/${version}/${kind.kind}`, kind);
        }
  }
  const checked: CheckedKind[] = [];
  for (const key of [...kinds.keys()].sort()) {
    const kind = kinds.get(key) as GroupVersionKind;
    const schema = await schemas.schemaOf(kind);
    if (schema !== undefined) checked.push({ kind, schema });
  }
  return checked;
}

async function paramsOf({ paramKind }: PolicySpec, schemas: KindSchemas) {
  const groupVersion = paramKind === undefined ? undefined : parseApiVersion(paramKind.apiVersion);
  if (paramKind === undefined || groupVersion === undefined) return undefined;
  return schemas.schemaOf({ ...groupVersion, kind: paramKind.kind });
}
