import type { FieldError, FieldPath, NodeSelectorTerm } from '@pilothouse/apimachinery';
import { fieldError, validateLabelName } from '@pilothouse/apimachinery';
import type { ConfigShape } from '@pilothouse/serializer';
import type { PluginOptions } from '../core/plugin-catalog.ts';
import { defaultPluginOptions } from '../core/plugin-catalog.ts';
import type { DefaultConstraint } from '../core/plugins/pod-topology-spread.ts';
import type { ResourceWeight, ScoringStrategy, ShapePoint } from '../core/plugins/resource-scoring.ts';
import { defaultResourceWeights } from '../core/plugins/resource-scoring.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Given = Readonly<Record<string, unknown>>;

/** What a plugin's arguments may hold, and how they become options. */
interface ArgsReader {
  readonly fields: Readonly<Record<string, ConfigShape>>;
  read(args: Given, path: FieldPath, into: Mutable<PluginOptions>): FieldError[];
}

const resourceSpecs: ConfigShape = { list: { fields: { name: 'string', weight: 'number' } } };
const shapePoints: ConfigShape = { list: { fields: { utilization: 'number', score: 'number' } } };
const constraintShape: ConfigShape = {
  fields: {
    maxSkew: 'number',
    topologyKey: 'string',
    whenUnsatisfiable: 'string',
    labelSelector: 'any',
    minDomains: 'number',
    nodeAffinityPolicy: 'string',
    nodeTaintsPolicy: 'string',
    matchLabelKeys: { list: 'string' },
  },
};
const requirements: ConfigShape = {
  list: { fields: { key: 'string', operator: 'string', values: { list: 'string' } } },
};
const selectorTerm: ConfigShape = { fields: { matchExpressions: requirements, matchFields: requirements } };
const strategies = ['LeastAllocated', 'MostAllocated', 'RequestedToCapacityRatio'];
const actions = ['DoNotSchedule', 'ScheduleAnyway'];
const defaultings = ['List', 'System'];
const shapeScoreMax = 10;

/** Arguments by plugin (v1.36, kubescheduler.config.k8s.io/v1). */
export const pluginArgs: Readonly<Record<string, ArgsReader>> = {
  DefaultPreemption: {
    fields: { minCandidateNodesPercentage: 'number', minCandidateNodesAbsolute: 'number' },
    read(args, path, into) {
      const { preemption } = defaultPluginOptions;
      const percentage = numberOf(
        args['minCandidateNodesPercentage'],
        preemption.minCandidateNodesPercentage,
      );
      const absolute = numberOf(args['minCandidateNodesAbsolute'], preemption.minCandidateNodesAbsolute);
      into.preemption = { minCandidateNodesPercentage: percentage, minCandidateNodesAbsolute: absolute };
      const atPercentage = path.child('minCandidateNodesPercentage');
      const atAbsolute = path.child('minCandidateNodesAbsolute');
      const errors: FieldError[] = [];
      if (percentage < 0 || percentage > 100)
        errors.push(fieldError.invalid(atPercentage, percentage, 'not in valid range [0, 100]'));
      if (absolute < 0) errors.push(fieldError.invalid(atAbsolute, absolute, 'not in valid range [0, inf)'));
      if (percentage === 0 && absolute === 0)
        errors.push(
          fieldError.invalid(atPercentage, 0, 'cannot be zero at the same time as minCandidateNodesAbsolute'),
          fieldError.invalid(atAbsolute, 0, 'cannot be zero at the same time as minCandidateNodesPercentage'),
        );
      return errors;
    },
  },
  InterPodAffinity: {
    fields: { hardPodAffinityWeight: 'number', ignorePreferredTermsOfExistingPods: 'boolean' },
    read(args, path, into) {
      const weight = numberOf(args['hardPodAffinityWeight'], 1);
      into.interPodAffinity = {
        hardPodAffinityWeight: weight,
        ignorePreferredTermsOfExistingPods: args['ignorePreferredTermsOfExistingPods'] === true,
      };
      return weight >= 0 && weight <= 100
        ? []
        : [fieldError.invalid(path.child('hardPodAffinityWeight'), weight, 'not in valid range [0, 100]')];
    },
  },
  NodeAffinity: {
    fields: {
      addedAffinity: {
        fields: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            fields: { nodeSelectorTerms: { list: selectorTerm } },
          },
          preferredDuringSchedulingIgnoredDuringExecution: {
            list: { fields: { weight: 'number', preference: selectorTerm } },
          },
        },
      },
    },
    read(args, path, into) {
      const added = (args['addedAffinity'] ?? {}) as {
        requiredDuringSchedulingIgnoredDuringExecution?: { nodeSelectorTerms?: NodeSelectorTerm[] };
        preferredDuringSchedulingIgnoredDuringExecution?: {
          weight?: number;
          preference?: NodeSelectorTerm;
        }[];
      };
      const required = added.requiredDuringSchedulingIgnoredDuringExecution;
      const preferred = added.preferredDuringSchedulingIgnoredDuringExecution ?? [];
      const terms = required === undefined ? undefined : (required.nodeSelectorTerms ?? []);
      into.addedAffinity = {
        required: terms,
        preferred: preferred.map(({ weight = 0, preference = {} }) => ({ weight, preference })),
      };
      const at = path.child('addedAffinity');
      const errors = (terms ?? []).flatMap((term, index) =>
        termFindings(
          term,
          at.child('requiredDuringSchedulingIgnoredDuringExecution', 'nodeSelectorTerms').index(index),
        ),
      );
      preferred.forEach(({ preference = {} }, index) => {
        const place = at.child('preferredDuringSchedulingIgnoredDuringExecution').index(index);
        errors.push(...termFindings(preference, place.child('preference')));
      });
      return errors;
    },
  },
  NodeResourcesBalancedAllocation: {
    fields: { resources: resourceSpecs },
    read(args, path, into) {
      const resources = resourcesOf(args['resources']);
      into.balancedResources = resources;
      const seen = new Set<string>();
      return resources.flatMap(({ name, weight }, index) => {
        const at = path.child('resources').index(index);
        const errors = seen.has(name) ? [fieldError.duplicate(at.child('name'), name)] : [];
        seen.add(name);
        if (weight !== 1) errors.push(fieldError.invalid(at.child('weight'), weight, 'must be 1'));
        return errors;
      });
    },
  },
  NodeResourcesFit: {
    fields: {
      ignoredResources: { list: 'string' },
      ignoredResourceGroups: { list: 'string' },
      scoringStrategy: {
        fields: {
          type: 'string',
          resources: resourceSpecs,
          requestedToCapacityRatio: { fields: { shape: shapePoints } },
        },
      },
    },
    read(args, path, into) {
      const ignoredResources = (args['ignoredResources'] ?? []) as readonly string[];
      const groups = (args['ignoredResourceGroups'] ?? []) as readonly string[];
      const errors = ignoredResources.flatMap((name, index) =>
        validateLabelName(name, path.child('ignoredResources').index(index)),
      );
      groups.forEach((group, index) => {
        const at = path.child('ignoredResourceGroups').index(index);
        if (group.includes('/'))
          errors.push(fieldError.invalid(at, group, "resource group name can't contain '/'"));
        errors.push(...validateLabelName(group, at));
      });
      const given = args['scoringStrategy'] as Given | undefined;
      const { strategy, findings } = strategyOf(
        given ?? { type: 'LeastAllocated' },
        path.child('scoringStrategy'),
      );
      into.fit = {
        ignoredResources: new Set(ignoredResources),
        ignoredResourceGroups: new Set(groups),
        scoringStrategy: strategy,
      };
      return [...errors, ...findings];
    },
  },
  PodTopologySpread: {
    fields: { defaultConstraints: { list: constraintShape }, defaultingType: 'string' },
    read(args, path, into) {
      const type = (args['defaultingType'] ?? 'System') as string;
      const constraints = (args['defaultConstraints'] ?? []) as (DefaultConstraint & {
        labelSelector?: unknown;
      })[];
      into.defaultConstraints = type === 'List' ? constraints : undefined;
      const errors: FieldError[] = [];
      if (!defaultings.includes(type))
        errors.push(fieldError.notSupported(path.child('defaultingType'), type, defaultings.toReversed()));
      else if (type === 'System' && constraints.length > 0)
        errors.push(
          fieldError.invalid(path.child('defaultingType'), type, 'when .defaultConstraints are not empty'),
        );
      return [...errors, ...constraintFindings(constraints, path.child('defaultConstraints'))];
    },
  },
  VolumeBinding: {
    fields: { bindTimeoutSeconds: 'number', shape: shapePoints },
    read(args, path, into) {
      const seconds = numberOf(args['bindTimeoutSeconds'], 600);
      into.volumeBindTimeoutMs = seconds * 1000;
      const errors: FieldError[] = [];
      if (seconds < 0)
        errors.push(
          fieldError.invalid(
            path.child('bindTimeoutSeconds'),
            seconds,
            'invalid BindTimeoutSeconds, should not be a negative value',
          ),
        );
      if (args['shape'] !== undefined)
        errors.push(
          fieldError.invalid(
            path.child('shape'),
            args['shape'],
            'unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring',
          ),
        );
      return errors;
    },
  },
  DynamicResources: { fields: { filterTimeout: 'string', bindingTimeout: 'string' }, read: () => [] },
};

function numberOf(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

function resourcesOf(given: unknown): readonly ResourceWeight[] {
  const list = (given ?? []) as readonly { name?: string; weight?: number }[];
  if (list.length === 0) return defaultResourceWeights;
  // Upstream takes a weight of 0 for one that is not given.
  return list.map(({ name = '', weight }) => ({
    name,
    weight: weight === undefined || weight === 0 ? 1 : weight,
  }));
}

function strategyOf(given: Given, path: FieldPath): { strategy: ScoringStrategy; findings: FieldError[] } {
  const type = (given['type'] ?? '') as string;
  const resources = resourcesOf(given['resources']);
  const ratio = given['requestedToCapacityRatio'] as { shape?: readonly ShapePoint[] } | undefined;
  const shape = ratio?.shape ?? [];
  const findings: FieldError[] = [];
  if (!strategies.includes(type))
    findings.push(fieldError.notSupported(path.child('type'), type, strategies));
  resources.forEach(({ name, weight }, index) => {
    if (weight <= 0 || weight > 100)
      findings.push(
        fieldError.invalid(
          path.child('resources').index(index).child('weight'),
          weight,
          `resource weight of ${name} not in valid range (0, 100]`,
        ),
      );
  });
  const at = path.child('requestedToCapacityRatio');
  if (type === 'RequestedToCapacityRatio') {
    if (ratio === undefined)
      findings.push(fieldError.required(at, 'must be specified when type is RequestedToCapacityRatio'));
    else findings.push(...shapeFindings(shape, at.child('shape')));
    return { strategy: { type, resources, shape }, findings };
  }
  if (ratio !== undefined)
    findings.push(fieldError.forbidden(at, 'must be nil when type is not RequestedToCapacityRatio'));
  return { strategy: { type: type === 'MostAllocated' ? type : 'LeastAllocated', resources }, findings };
}

function shapeFindings(shape: readonly ShapePoint[], path: FieldPath): FieldError[] {
  if (shape.length === 0) return [fieldError.required(path, 'at least one point must be specified')];
  const errors: FieldError[] = [];
  const unsorted = shape.findIndex(
    ({ utilization }, index) => index > 0 && (shape[index - 1]?.utilization ?? 0) >= utilization,
  );
  if (unsorted > 0)
    errors.push(
      fieldError.invalid(
        path.index(unsorted).child('utilization'),
        shape[unsorted]?.utilization,
        'values must be sorted in increasing order',
      ),
    );
  shape.forEach(({ utilization, score }, index) => {
    const at = path.index(index);
    if (utilization < 0 || utilization > 100)
      errors.push(fieldError.invalid(at.child('utilization'), utilization, 'not in valid range [0, 100]'));
    if (score < 0 || score > shapeScoreMax)
      errors.push(fieldError.invalid(at.child('score'), score, `not in valid range [0, ${shapeScoreMax}]`));
  });
  return errors;
}

function constraintFindings(
  constraints: readonly (Partial<DefaultConstraint> & { labelSelector?: unknown })[],
  path: FieldPath,
): FieldError[] {
  const seen = new Set<string>();
  return constraints.flatMap((constraint, index) => {
    const { maxSkew = 0, topologyKey = '', labelSelector } = constraint;
    const action: string = constraint.whenUnsatisfiable ?? '';
    const at = path.index(index);
    const errors: FieldError[] = [];
    if (maxSkew <= 0)
      errors.push(fieldError.invalid(at.child('maxSkew'), maxSkew, 'not in valid range (0, inf)'));
    if (topologyKey === '') errors.push(fieldError.required(at.child('topologyKey'), 'can not be empty'));
    else errors.push(...validateLabelName(topologyKey, at.child('topologyKey')));
    if (action === '') errors.push(fieldError.required(at.child('whenUnsatisfiable'), 'can not be empty'));
    else if (!actions.includes(action))
      errors.push(fieldError.notSupported(at.child('whenUnsatisfiable'), action, actions));
    if (labelSelector !== undefined)
      errors.push(
        fieldError.forbidden(
          at.child('labelSelector'),
          'constraint must not define a selector, as they deduced for each pod',
        ),
      );
    const pair = `{${topologyKey}, ${action}}`;
    if (seen.has(pair)) errors.push(fieldError.duplicate(at, pair));
    seen.add(pair);
    return errors;
  });
}

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'];

function termFindings(term: NodeSelectorTerm, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  (term.matchExpressions ?? []).forEach(({ key, operator }, index) => {
    const at = path.child('matchExpressions').index(index);
    errors.push(...validateLabelName(key ?? '', at.child('key')));
    if (!operators.includes(operator ?? ''))
      errors.push(fieldError.notSupported(at.child('operator'), operator ?? '', operators));
  });
  (term.matchFields ?? []).forEach(({ key, operator }, index) => {
    const at = path.child('matchFields').index(index);
    if (key !== 'metadata.name')
      errors.push(fieldError.notSupported(at.child('key'), key ?? '', ['metadata.name']));
    if (operator !== 'In' && operator !== 'NotIn')
      errors.push(fieldError.notSupported(at.child('operator'), operator ?? '', ['In', 'NotIn']));
  });
  return errors;
}
