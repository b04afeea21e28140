import type { FieldError } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { specPath } from '../common.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, text } from '../validation/values.ts';

/*
 * `exempt` and `catch-all` keep a server usable whatever the administrator does, so their specs are fixed. Messages show a spec as
 * upstream's internal types print it: all fields, by their Go names.
 */

type Named = Json | null | undefined;

const named = (value: Named): unknown => (isSet(value) ? { Name: text(value['name']) } : null);
const strings = (value: unknown): unknown => (Array.isArray(value) ? value : null);

function schemaView(spec: Json): unknown {
  const rules = spec['rules'] as Json[] | null | undefined;
  const method = spec['distinguisherMethod'] as Named;
  return {
    PriorityLevelConfiguration: { Name: text(spec['priorityLevelConfiguration']?.name) },
    MatchingPrecedence: spec['matchingPrecedence'] ?? 0,
    DistinguisherMethod: isSet(method) ? { Type: text(method['type']) } : null,
    Rules: isSet(rules) ? rules.map(ruleView) : null,
  };
}

function ruleView(rule: Json): unknown {
  const all = (name: string, view: (value: Json) => unknown): unknown =>
    isSet(rule[name]) ? (list(rule[name]) as Json[]).map(view) : null;
  return {
    Subjects: all('subjects', (subject) => {
      const account = subject['serviceAccount'] as Named;
      return {
        Kind: text(subject['kind']),
        User: named(subject['user'] as Named),
        Group: named(subject['group'] as Named),
        ServiceAccount: isSet(account)
          ? { Namespace: text(account['namespace']), Name: text(account['name']) }
          : null,
      };
    }),
    ResourceRules: all('resourceRules', (each) => ({
      Verbs: strings(each['verbs']),
      APIGroups: strings(each['apiGroups']),
      Resources: strings(each['resources']),
      ClusterScope: each['clusterScope'] === true,
      Namespaces: strings(each['namespaces']),
    })),
    NonResourceRules: all('nonResourceRules', (each) => ({
      Verbs: strings(each['verbs']),
      NonResourceURLs: strings(each['nonResourceURLs']),
    })),
  };
}

function levelView(spec: Json): Record<string, unknown> {
  const limited = spec['limited'] as Named;
  const exempt = spec['exempt'] as Named;
  const queuing = limited?.['limitResponse']?.queuing as Named;
  return {
    Type: text(spec['type']),
    Limited: isSet(limited)
      ? {
          NominalConcurrencyShares: limited['nominalConcurrencyShares'] ?? 0,
          LimitResponse: {
            Type: text(limited['limitResponse']?.type),
            Queuing: isSet(queuing)
              ? {
                  Queues: queuing['queues'] ?? 0,
                  HandSize: queuing['handSize'] ?? 0,
                  QueueLengthLimit: queuing['queueLengthLimit'] ?? 0,
                }
              : null,
          },
          LendablePercent: limited['lendablePercent'] ?? null,
          BorrowingLimitPercent: limited['borrowingLimitPercent'] ?? null,
        }
      : null,
    Exempt: isSet(exempt)
      ? {
          NominalConcurrencyShares: exempt['nominalConcurrencyShares'] ?? null,
          LendablePercent: exempt['lendablePercent'] ?? null,
        }
      : null,
  };
}

const everything = {
  resourceRules: [
    { verbs: ['*'], apiGroups: ['*'], resources: ['*'], clusterScope: true, namespaces: ['*'] },
  ],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
};

const groupSubject = (name: string): unknown => ({ kind: 'Group', group: { name } });

const schemas: Readonly<Record<string, Json>> = {
  exempt: {
    priorityLevelConfiguration: { name: 'exempt' },
    matchingPrecedence: 1,
    rules: [{ subjects: [groupSubject('system:masters')], ...everything }],
  },
  'catch-all': {
    priorityLevelConfiguration: { name: 'catch-all' },
    matchingPrecedence: 10_000,
    distinguisherMethod: { type: 'ByUser' },
    rules: [
      {
        subjects: [groupSubject('system:unauthenticated'), groupSubject('system:authenticated')],
        ...everything,
      },
    ],
  },
};

const levels: Readonly<Record<string, Json>> = {
  exempt: { type: 'Exempt' },
  'catch-all': {
    type: 'Limited',
    limited: { nominalConcurrencyShares: 5, limitResponse: { type: 'Reject' }, lendablePercent: 0 },
  },
};

/** The finding about a mandatory FlowSchema that is not as it must be. */
export function validateMandatorySchema(name: string, spec: Json): FieldError[] {
  const fixed = schemas[name];
  const view = schemaView(spec);
  if (fixed === undefined || JSON.stringify(view) === JSON.stringify(schemaView(fixed))) return [];
  return [fieldError.invalid(specPath, view, `spec of '${name}' must equal the fixed value`)];
}

/** The finding about a mandatory PriorityLevelConfiguration that is not as it must be; `spec.exempt` may be tuned. */
export function validateMandatoryLevel(name: string, spec: Json): FieldError[] {
  const fixed = levels[name];
  const view = levelView(spec);
  const exceptExempt = (value: Record<string, unknown>): string => JSON.stringify({ ...value, Exempt: null });
  if (fixed === undefined || exceptExempt(view) === exceptExempt(levelView(fixed))) return [];
  const what = name === 'exempt' ? "spec of 'exempt' except the 'spec.exempt' field" : `spec of '${name}'`;
  return [fieldError.invalid(specPath, view, `${what} must equal the fixed value`)];
}
