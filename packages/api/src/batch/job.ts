import type { FieldError, FieldPath, KubeObject, Labels } from '@pilothouse/apimachinery';
import { fieldError, humanDuration, labelSelectorOf, parseTime } from '@pilothouse/apimachinery';
import { bumpGeneration, metadataPath, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { templateWarnings } from '../core/pod/warnings.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { internalText, podTemplateText } from '../validation/internal-text.ts';
import { formatLabelSelector, validateLabelSelector } from '../validation/meta.ts';
import { isDns1123Label } from '../validation/names.ts';
import type { Json } from '../validation/values.ts';
import { clone, immutable, isSet, list, semanticEqual, text } from '../validation/values.ts';
import { shownLabels, workloadNameWarnings } from '../validation/workload.ts';
import { defaultJobSpec, validateJobSpec } from './job-spec.ts';
import { validateJobStatus } from './job-status.ts';

const uidLabel = 'batch.kubernetes.io/controller-uid';
const nameLabel = 'batch.kubernetes.io/job-name';
const legacyUidLabel = 'controller-uid';
const legacyNameLabel = 'job-name';

const specOf = (job: KubeObject): Json => (job['spec'] ?? {}) as Json;

function defaults(job: KubeObject): void {
  const spec = ensure(job, 'spec');
  defaultJobSpec(spec);
  const labels = spec['template'].metadata?.labels as Labels | null | undefined;
  if (Object.keys(job.metadata.labels ?? {}).length === 0 && isSet(labels) && Object.keys(labels).length > 0)
    // Upstream shares one map between the two, so the generated labels come to both.
    job.metadata.labels = labels as Record<string, string>;
}

/** A job selects its pods by its own uid unless it asks to do that itself. */
function generateSelector(job: KubeObject): void {
  const spec = specOf(job);
  if (spec['manualSelector'] === true) return;
  const uid = text(job.metadata.uid);
  const name = text(job.metadata.name);
  const meta = ensure(ensure(spec, 'template'), 'metadata');
  const labels = ensure(meta, 'labels');
  const generated: Record<string, string> = {
    [legacyNameLabel]: name,
    [nameLabel]: name,
    [legacyUidLabel]: uid,
    [uidLabel]: uid,
  };
  // Labels that say something else stay: validation then refuses them.
  for (const [key, value] of Object.entries(generated)) if (!(key in labels)) labels[key] = value;
  const selector = ensure(spec, 'selector');
  const matchLabels = ensure(selector, 'matchLabels');
  if (!(uidLabel in matchLabels)) matchLabels[uidLabel] = uid;
}

function matchErrors(spec: Json): FieldError[] {
  try {
    const labels = (spec['template']?.metadata?.labels ?? null) as Labels | null;
    if (labelSelectorOf(spec['selector']).matches(labels ?? {})) return [];
    return [
      fieldError.invalid(
        specPath.child('template', 'metadata', 'labels'),
        shownLabels(spec['template']?.metadata as Json | undefined),
        '`selector` does not match template `labels`',
      ),
    ];
  } catch {
    return [];
  }
}

const sortedLabels = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).sort(([left], [right]) => (left < right ? -1 : 1)));

function sortedSelector(selector: Json): Json {
  return isSet(selector['matchLabels'])
    ? { ...selector, matchLabels: sortedLabels(selector['matchLabels'] as Labels) }
    : selector;
}

/** A selector that does not parse is told elsewhere. */
function selects(selector: Json, labels: Labels): boolean {
  try {
    return labelSelectorOf(selector).matches(labels);
  } catch {
    return true;
  }
}

function validateGenerated(job: KubeObject): FieldError[] {
  const spec = specOf(job);
  if (spec['manualSelector'] === true || !isSet(spec['selector'])) return [];
  const errors: FieldError[] = [];
  const uid = text(job.metadata.uid);
  const name = text(job.metadata.name);
  const labels = (spec['template']?.metadata?.labels ?? {}) as Labels;
  const wanted: readonly (readonly [string, string])[] = [
    [legacyUidLabel, uid],
    [uidLabel, uid],
    [legacyNameLabel, name],
    [nameLabel, name],
  ];
  const path = specPath.child('template', 'metadata', 'labels');
  for (const [key, value] of wanted)
    if (labels[key] === undefined) errors.push(fieldError.required(path.key(key), `must be '${value}'`));
    else if (labels[key] !== value)
      errors.push(fieldError.invalid(path.key(key), sortedLabels(labels), `must be '${value}'`));
  if (!selects(spec['selector'] as Json, Object.fromEntries(wanted)))
    errors.push(
      fieldError.invalid(
        specPath.child('selector'),
        sortedSelector(spec['selector'] as Json),
        '`selector` not auto-generated',
      ),
    );
  errors.push(...matchErrors(spec));
  return errors;
}

function validateWithSelector(spec: Json): FieldError[] {
  const errors = validateJobSpec(spec, specPath);
  if (!isSet(spec['selector'])) errors.push(fieldError.required(specPath.child('selector')));
  else errors.push(...validateLabelSelector(spec['selector'], specPath.child('selector')));
  errors.push(...matchErrors(spec));
  return errors;
}

function validateHostnames(job: KubeObject): FieldError[] {
  const spec = specOf(job);
  const completions: number = spec['completions'] ?? 0;
  if (spec['completionMode'] !== 'Indexed' || completions <= 0) return [];
  const hostname = `${text(job.metadata.name)}-${completions - 1}`;
  const found = isDns1123Label(hostname);
  return found.length === 0
    ? []
    : [
        fieldError.invalid(
          metadataPath.child('name'),
          text(job.metadata.name),
          `will not able to create pod with invalid DNS label: ${hostname}`,
        ),
      ];
}

/** The parts of a template that steer scheduling; affinity to nodes is another. */
const schedulingDirectives = ['nodeSelector', 'tolerations', 'schedulingGates'];

function copyMember(target: Json, source: Json, name: string): void {
  if (source[name] === undefined) delete target[name];
  else target[name] = clone(source[name] as unknown);
}

/** Of a job that is suspended and has no pods the template's scheduling and resources may change. */
function templateIsMutable(old: KubeObject): boolean {
  const status = (old['status'] ?? {}) as Json;
  const stopped = (list(status['conditions']) as Json[]).some(
    (each) => each['type'] === 'Suspended' && each['status'] === 'True',
  );
  return (
    specOf(old)['suspend'] === true &&
    (!isSet(status['startTime']) || stopped) &&
    ((status['active'] as number | null | undefined) ?? 0) === 0
  );
}

/** The template of before with what may change taken from now. */
function templateToMatch(now: Json, before: Json): Json {
  const template = clone(before);
  const spec = ensure(template, 'spec');
  const wanted = (now['spec'] ?? {}) as Json;
  for (const name of schedulingDirectives) copyMember(spec, wanted, name);
  const affinity = { ...((spec['affinity'] ?? {}) as Json) };
  copyMember(affinity, (wanted['affinity'] ?? {}) as Json, 'nodeAffinity');
  const given: unknown = wanted['affinity'];
  if (isSet(given) || Object.keys(affinity).length > 0) spec['affinity'] = affinity;
  else delete spec['affinity'];
  for (const name of ['containers', 'initContainers']) {
    const [theirs, ours] = [list(wanted[name]) as Json[], list(spec[name]) as Json[]];
    if (theirs.length !== ours.length) continue;
    ours.forEach((container, index) => {
      const other = theirs[index] as Json;
      if (container['name'] === other['name']) copyMember(container, other, 'resources');
    });
  }
  return template;
}

function validateTemplateChange(job: KubeObject, old: KubeObject): FieldError[] {
  const now = (specOf(job)['template'] ?? {}) as Json;
  const before = (specOf(old)['template'] ?? {}) as Json;
  const path = specPath.child('template');
  const refuse = (field: FieldPath, shown: string): FieldError[] => [
    {
      type: 'FieldValueInvalid',
      field: field.text,
      message: `Invalid value: ${shown}: field is immutable`,
    },
  ];
  if (!templateIsMutable(old)) return semanticEqual(now, before) ? [] : refuse(path, podTemplateText(now));
  // Labels and annotations are free, too; upstream compares the spec alone.
  return semanticEqual(now['spec'], templateToMatch(now, before)['spec'])
    ? []
    : refuse(path.child('spec'), internalText('PodSpec', now['spec']));
}

function validateCompletionsChange(now: Json, before: Json): FieldError[] {
  const path = specPath.child('completions');
  const completions: unknown = now['completions'] ?? null;
  if (now['completionMode'] !== 'Indexed') return immutable(completions, before['completions'], path);
  if (!isSet(completions) || completions === before['completions'] || completions === now['parallelism'])
    return [];
  return [fieldError.invalid(path, completions, 'can only be modified in tandem with spec.parallelism')];
}

function validateChange(job: KubeObject, old: KubeObject): FieldError[] {
  const now = specOf(job);
  const before = specOf(old);
  const errors = validateCompletionsChange(now, before);
  if (!semanticEqual(now['selector'], before['selector']))
    errors.push(
      fieldError.invalid(
        specPath.child('selector'),
        isSet(now['selector']) ? sortedSelector(now['selector'] as Json) : null,
        'field is immutable',
      ),
    );
  errors.push(...validateTemplateChange(job, old));
  for (const name of ['completionMode', 'backoffLimitPerIndex', 'managedBy'])
    errors.push(...immutable(now[name] ?? null, before[name], specPath.child(name)));
  for (const [name, type] of [
    ['podFailurePolicy', 'PodFailurePolicy'],
    ['successPolicy', 'SuccessPolicy'],
  ] as const)
    if (!semanticEqual(now[name], before[name]))
      errors.push({
        type: 'FieldValueInvalid',
        field: specPath.child(name).text,
        message: `Invalid value: ${internalText(type, now[name])}: field is immutable`,
      });
  return errors;
}

function indexedWarnings(job: KubeObject): string[] {
  const spec = specOf(job);
  return spec['completionMode'] === 'Indexed' &&
    (spec['completions'] ?? 0) > 100_000 &&
    (spec['parallelism'] ?? 0) > 10_000
    ? [
        'spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail',
      ]
    : [];
}

const conditionOrder: readonly (readonly [string, string])[] = [
  ['Complete', 'Complete'],
  ['Failed', 'Failed'],
];
const laterConditions: readonly (readonly [string, string])[] = [
  ['Suspended', 'Suspended'],
  ['FailureTarget', 'FailureTarget'],
  ['SuccessCriteriaMet', 'SuccessCriteriaMet'],
];

function statusText(job: KubeObject): string {
  const holds = (type: string): boolean =>
    (list(job['status']?.conditions) as Json[]).some(
      (each) => each['type'] === type && each['status'] === 'True',
    );
  for (const [type, shown] of conditionOrder) if (holds(type)) return shown;
  if (isSet(job.metadata.deletionTimestamp)) return 'Terminating';
  for (const [type, shown] of laterConditions) if (holds(type)) return shown;
  return 'Running';
}

function durationText(job: KubeObject, nowMs: number): string {
  const start = parseTime(text(job['status']?.startTime));
  if (start === undefined) return '';
  return humanDuration((parseTime(text(job['status']?.completionTime)) ?? nowMs) - start);
}

function completionsText(job: KubeObject): string {
  const spec = specOf(job);
  const succeeded = String(job['status']?.succeeded ?? 0);
  if (isSet(spec['completions'])) return `${succeeded}/${String(spec['completions'])}`;
  const parallelism: number = spec['parallelism'] ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

export const jobStrategy: ResourceStrategy = {
  group: 'batch',
  version: 'v1',
  kind: 'Job',
  revalidatesMetadata: true,
  resource: 'jobs',
  resetFields: ['status'],
  defaults,
  prepareForCreate(job) {
    generateSelector(job);
    job['status'] = {};
    startGeneration(job);
  },
  validate: (job) => [
    ...validateGenerated(job),
    ...validateWithSelector(specOf(job)),
    ...validateHostnames(job),
  ],
  warningsOnCreate: (job) => [
    ...workloadNameWarnings(nameOf(job)),
    ...templateWarnings(specOf(job)['template'], specPath.child('template')),
    ...indexedWarnings(job),
  ],
  /** What is stored without labels reads with those of its template, also in the answer to the create. */
  canonicalize: defaults,
  prepareForUpdate(job, old) {
    restore(job, old, 'status');
    bumpGeneration(job, old);
  },
  validateUpdate: (job, old) => [
    ...validateGenerated(job),
    ...validateWithSelector(specOf(job)),
    ...validateChange(job, old),
  ],
  warningsOnUpdate: (job, old) =>
    job.metadata.generation === old.metadata.generation
      ? []
      : [...templateWarnings(specOf(job)['template'], specPath.child('template')), ...indexedWarnings(job)],
  subresources: { status: statusHooks(validateJobStatus) },
  unsupportedField: (field) => `field label ${JSON.stringify(field)} not supported for Job`,
  selectableFields: { 'status.successful': (job) => String(job['status']?.succeeded ?? 0) },
  defaultPropagation: 'Orphan',
  deleteWithoutPropagationWarning:
    'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  columns: columnsOf['batch/jobs'] ?? [],
  cells(job, nowMs) {
    const [containers, images] = containersAndImages(specOf(job)['template']?.spec);
    return [
      nameOf(job),
      statusText(job),
      completionsText(job),
      durationText(job, nowMs),
      ageOf(job, nowMs),
      containers,
      images,
      formatLabelSelector(specOf(job)['selector']),
    ];
  },
};
