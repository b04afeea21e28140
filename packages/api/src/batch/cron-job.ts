import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, translateTimestampSince } from '@pilothouse/apimachinery';
import { bumpGeneration, metadataPath, restore, specPath, startGeneration, statusHooks } from '../common.ts';
import { templateWarnings } from '../core/pod/warnings.ts';
import { ensure, setDefault, setZeroDefault } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { formatLabelSelector } from '../validation/meta.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, nonNegative, oneOf, text } from '../validation/values.ts';
import { nonNegativeFields, workloadNameWarnings } from '../validation/workload.ts';
import { cronProblem } from './cron-schedule.ts';
import { defaultJobSpec, validateJobSpec } from './job-spec.ts';

const nameMax = 52;

function validateSchedule(
  schedule: string,
  allowTimeZone: boolean,
  timeZone: unknown,
  path: FieldPath,
): FieldError[] {
  if (schedule === '') return [fieldError.required(path)];
  const errors: FieldError[] = [];
  const problem = cronProblem(schedule);
  if (problem !== undefined) errors.push(fieldError.invalid(path, schedule, problem));
  if (schedule.includes('TZ')) {
    if (isSet(timeZone))
      errors.push(
        fieldError.invalid(path, schedule, 'cannot use both timeZone field and TZ or CRON_TZ in schedule'),
      );
    else if (!allowTimeZone)
      errors.push(
        fieldError.invalid(
          path,
          schedule,
          'cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
        ),
      );
  }
  return errors;
}

function isKnownTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function validateTimeZone(zone: string | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(zone)) return [];
  if (zone === '') return [fieldError.invalid(path, zone, 'timeZone must be nil or non-empty string')];
  const errors: FieldError[] = [];
  if (zone.toLowerCase() === 'local')
    errors.push(
      fieldError.invalid(
        path,
        zone,
        'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones',
      ),
    );
  else if (!isKnownTimeZone(zone)) errors.push(fieldError.invalid(path, zone, `unknown time zone ${zone}`));
  return errors;
}

function validateSpec(spec: Json, oldSpec?: Json): FieldError[] {
  const schedule = text(spec['schedule']);
  const allowed = oldSpec !== undefined && text(oldSpec['schedule']).includes('TZ');
  const errors = validateSchedule(schedule, allowed, spec['timeZone'], specPath.child('schedule'));
  errors.push(...nonNegative(spec['startingDeadlineSeconds'], specPath.child('startingDeadlineSeconds')));
  if (oldSpec === undefined || oldSpec['timeZone'] !== spec['timeZone'])
    errors.push(...validateTimeZone(spec['timeZone'], specPath.child('timeZone')));
  if (text(spec['concurrencyPolicy']) === '')
    errors.push(fieldError.required(specPath.child('concurrencyPolicy')));
  else
    errors.push(
      ...oneOf(specPath.child('concurrencyPolicy'), spec['concurrencyPolicy'], [
        'Allow',
        'Forbid',
        'Replace',
      ]),
    );
  const job = (spec['jobTemplate']?.spec ?? {}) as Json;
  const jobPath = specPath.child('jobTemplate', 'spec');
  errors.push(...validateJobSpec(job, jobPath));
  if (job['manualSelector'] === true)
    errors.push(fieldError.notSupported(jobPath.child('manualSelector'), true, ['nil', 'false']));
  if (isSet(job['selector']))
    errors.push(
      fieldError.invalid(jobPath.child('selector'), job['selector'], '`selector` will be auto-generated'),
    );
  errors.push(...nonNegativeFields(spec, specPath, 'successfulJobsHistoryLimit', 'failedJobsHistoryLimit'));
  return errors;
}

function validateName(object: KubeObject): FieldError[] {
  const name = text(object.metadata.name);
  return name.length > nameMax
    ? [fieldError.invalid(metadataPath.child('name'), name, `must be no more than ${nameMax} characters`)]
    : [];
}

function scheduleWarnings(spec: Json): string[] {
  return text(spec['schedule']).includes('TZ')
    ? [
        `spec.schedule: CRON_TZ or TZ used in "${text(spec['schedule'])}" is not officially supported, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details`,
      ]
    : [];
}

const templatePath = specPath.child('jobTemplate', 'spec', 'template');

export const cronJobStrategy: ResourceStrategy = {
  group: 'batch',
  version: 'v1',
  kind: 'CronJob',
  resource: 'cronjobs',
  resetFields: ['status'],
  defaults(object) {
    const spec = ensure(object, 'spec');
    setZeroDefault(spec, 'concurrencyPolicy', 'Allow');
    setDefault(spec, 'suspend', false);
    setDefault(spec, 'successfulJobsHistoryLimit', 3);
    setDefault(spec, 'failedJobsHistoryLimit', 1);
    defaultTemplate(ensure(ensure(spec, 'jobTemplate'), 'spec'));
  },
  prepareForCreate(object) {
    object['status'] = {};
    startGeneration(object);
  },
  validate: (object) => [...validateSpec((object['spec'] ?? {}) as Json), ...validateName(object)],
  warningsOnCreate: (object) => [
    ...workloadNameWarnings(nameOf(object)),
    ...templateWarnings(object['spec']?.jobTemplate?.spec?.template, templatePath),
    ...scheduleWarnings((object['spec'] ?? {}) as Json),
  ],
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => validateSpec((object['spec'] ?? {}) as Json, (old['spec'] ?? {}) as Json),
  warningsOnUpdate: (object, old) => [
    ...(object.metadata.generation === old.metadata.generation
      ? []
      : templateWarnings(object['spec']?.jobTemplate?.spec?.template, templatePath)),
    ...scheduleWarnings((object['spec'] ?? {}) as Json),
  ],
  subresources: { status: { ...statusHooks(), anyFinalizer: true } },
  columns: columnsOf['batch/cronjobs'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const last = object['status']?.lastScheduleTime as string | null | undefined;
    const [containers, images] = containersAndImages(spec['jobTemplate']?.spec?.template?.spec);
    const suspend = spec['suspend'] as boolean | null | undefined;
    return [
      nameOf(object),
      text(spec['schedule']),
      isSet(spec['timeZone']) ? text(spec['timeZone']) : '<none>',
      isSet(suspend) ? (suspend ? 'True' : 'False') : '<unset>',
      list(object['status']?.active).length,
      isSet(last) ? translateTimestampSince(last, nowMs) : '<none>',
      ageOf(object, nowMs),
      containers,
      images,
      formatLabelSelector(spec['jobTemplate']?.spec?.selector),
    ];
  },
};

/** A template in a CronJob gets only the defaults of its pods: the rest comes when a Job is made of it. */
function defaultTemplate(spec: Json): void {
  const probe: Json = { template: spec['template'] ?? {} };
  defaultJobSpec(probe);
  spec['template'] = probe['template'] as unknown;
}
