import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError, parseTime } from '@pilothouse/apimachinery';
import { statusPath } from '../common.ts';
import { internalText } from '../validation/internal-text.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, semanticEqual, text } from '../validation/values.ts';
import { nonNegativeFields } from '../validation/workload.ts';
import { indexesOverlap, indexesProblem } from './job-indexes.ts';

const conditionsPath = statusPath.child('conditions');

/** A finding about the conditions as a whole: upstream prints no value there. */
const badConditions = (detail: string): FieldError => ({
  type: 'FieldValueInvalid',
  field: conditionsPath.text,
  message: `Invalid value: ${detail}`,
});

/** A job with the questions that the rules ask of it. */
class JobView {
  readonly spec: Json;
  readonly status: Json;

  constructor(job: KubeObject) {
    this.spec = (job['spec'] ?? {}) as Json;
    this.status = (job['status'] ?? {}) as Json;
  }

  has(type: string, status = 'True'): boolean {
    return (list(this.status['conditions']) as Json[]).some(
      (each) => each['type'] === type && each['status'] === status,
    );
  }

  get complete(): boolean {
    return this.has('Complete');
  }

  get failed(): boolean {
    return this.has('Failed');
  }

  get finished(): boolean {
    return this.complete || this.failed;
  }

  get succeeding(): boolean {
    return this.has('SuccessCriteriaMet');
  }

  get indexed(): boolean {
    return this.spec['completionMode'] === 'Indexed';
  }

  count(name: string): number {
    return (this.status[name] as number | null | undefined) ?? 0;
  }

  time(name: string): number | undefined {
    return isSet(this.status[name]) ? parseTime(text(this.status[name])) : undefined;
  }

  uncounted(name: 'succeeded' | 'failed'): string[] {
    return list((this.status['uncountedTerminatedPods'] as Json | null | undefined)?.[name]) as string[];
  }
}

/** What of the status differs from before: most rules look only at what a write changes, so that a bad status can still be repaired. */
function changesOf(job: JobView, old: JobView) {
  const differs = (question: (view: JobView) => unknown): boolean =>
    !semanticEqual(question(job), question(old));
  return {
    finished: differs((view) => view.finished),
    complete: differs((view) => view.complete),
    failed: differs((view) => view.failed),
    failureTarget: differs((view) => view.has('FailureTarget')),
    succeeding: differs((view) => view.succeeding),
    completedIndexes: differs((view) => text(view.status['completedIndexes'])),
    failedIndexes: differs((view) => view.status['failedIndexes'] ?? null),
    active: differs((view) => view.count('active')),
    startTime: differs((view) => view.time('startTime')),
    completionTime: differs((view) => view.time('completionTime')),
    uncounted: differs((view) => view.status['uncountedTerminatedPods']),
    ready: differs((view) => view.status['ready'] ?? null),
    terminating: differs((view) => view.status['terminating'] ?? null),
  };
}

type Changes = ReturnType<typeof changesOf>;

function uncountedErrors(job: JobView): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const name of ['succeeded', 'failed'] as const)
    job.uncounted(name).forEach((uid, index) => {
      const path = statusPath.child('uncountedTerminatedPods', name).index(index);
      if (uid === '') errors.push(fieldError.invalid(path, uid, 'must not be empty'));
      else if (seen.has(uid)) errors.push(fieldError.duplicate(path, uid));
      else seen.add(uid);
    });
  return errors;
}

function endingErrors(job: JobView, changed: Changes): FieldError[] {
  const errors: FieldError[] = [];
  const completionPath = statusPath.child('completionTime');
  const completionTime: unknown = job.status['completionTime'];
  if ((changed.complete || changed.failed) && job.complete && job.failed)
    errors.push(badConditions('cannot set Complete=True and Failed=true conditions'));
  if ((changed.complete || changed.failureTarget) && job.complete && job.has('FailureTarget'))
    errors.push(badConditions('cannot set Complete=True and FailureTarget=true conditions'));
  if (changed.complete || changed.completionTime) {
    if (isSet(completionTime) && !job.complete)
      errors.push(
        fieldError.invalid(
          completionPath,
          completionTime,
          'cannot set completionTime when there is no Complete=True condition',
        ),
      );
    if (!isSet(completionTime) && job.complete)
      errors.push(fieldError.required(completionPath, 'completionTime is required for Complete jobs'));
  }
  const [start, end] = [job.time('startTime'), job.time('completionTime')];
  if (
    (changed.startTime || changed.completionTime) &&
    start !== undefined &&
    end !== undefined &&
    end < start
  )
    errors.push(fieldError.invalid(completionPath, completionTime, 'must be equal to or after `startTime`'));
  if ((changed.failed || changed.failedIndexes) && job.failed && !job.has('FailureTarget'))
    errors.push(badConditions('cannot set Failed=True condition without the FailureTarget=true condition'));
  if ((changed.complete || changed.succeeding) && job.complete && !job.succeeding)
    errors.push(
      badConditions('cannot set Complete=True condition without the SuccessCriteriaMet=true condition'),
    );
  return errors;
}

function finishedErrors(job: JobView, changed: Changes): FieldError[] {
  if (!job.finished) return [];
  const errors: FieldError[] = [];
  if ((changed.finished || changed.active) && job.count('active') > 0)
    errors.push(
      fieldError.invalid(
        statusPath.child('active'),
        job.count('active'),
        'active>0 is invalid for finished job',
      ),
    );
  const neverRan = job.spec['suspend'] === true && job.spec['completions'] === 0;
  if ((changed.finished || changed.startTime) && !neverRan && !isSet(job.status['startTime']))
    errors.push(fieldError.required(statusPath.child('startTime'), 'startTime is required for finished job'));
  if (
    (changed.finished || changed.uncounted) &&
    job.uncounted('succeeded').length + job.uncounted('failed').length > 0
  )
    errors.push({
      type: 'FieldValueInvalid',
      field: statusPath.child('uncountedTerminatedPods').text,
      message: `Invalid value: ${internalText('UncountedTerminatedPods', job.status['uncountedTerminatedPods'])}: must be empty for finished job`,
    });
  return errors;
}

function indexErrors(job: JobView, changed: Changes): FieldError[] {
  const errors: FieldError[] = [];
  const completedPath = statusPath.child('completedIndexes');
  const failedPath = statusPath.child('failedIndexes');
  const completed = text(job.status['completedIndexes']);
  const failed = job.status['failedIndexes'] as string | null | undefined;
  const completions = job.spec['completions'] as number | null | undefined;
  const limitPerIndex = isSet(job.spec['backoffLimitPerIndex']);
  if (changed.completedIndexes && isSet(completions)) {
    const problem = indexesProblem(completed, completions);
    if (problem !== undefined)
      errors.push(fieldError.invalid(completedPath, completed, `error parsing completedIndexes: ${problem}`));
  }
  if (changed.failedIndexes && isSet(completions) && limitPerIndex && isSet(failed)) {
    const problem = indexesProblem(failed, completions);
    if (problem !== undefined)
      errors.push(fieldError.invalid(failedPath, failed, `error parsing failedIndexes: ${problem}`));
  }
  if (changed.completedIndexes && completed !== '' && !job.indexed)
    errors.push(
      fieldError.invalid(
        completedPath,
        completed,
        'cannot set non-empty completedIndexes when non-indexed completion mode',
      ),
    );
  if (changed.failedIndexes && !limitPerIndex && isSet(failed))
    errors.push(
      fieldError.invalid(
        failedPath,
        failed,
        'cannot set non-null failedIndexes when backoffLimitPerIndex is null',
      ),
    );
  if ((changed.failedIndexes || changed.completedIndexes) && isSet(completions) && isSet(failed)) {
    const shared = indexesOverlap(completed, failed, completions);
    if (shared !== undefined)
      errors.push(
        fieldError.invalid(
          failedPath,
          failed,
          `failedIndexes and completedIndexes overlap at index: ${shared}`,
        ),
      );
  }
  return errors;
}

function countErrors(job: JobView, changed: Changes): FieldError[] {
  const errors: FieldError[] = [];
  const [terminating, ready] = [job.count('terminating'), job.count('ready')];
  if ((changed.finished || changed.terminating) && terminating > 0 && job.finished)
    errors.push(
      fieldError.invalid(
        statusPath.child('terminating'),
        terminating,
        'terminating>0 is invalid for finished job',
      ),
    );
  if ((changed.ready || changed.active) && ready > job.count('active'))
    errors.push(
      fieldError.invalid(statusPath.child('ready'), ready, 'cannot set more ready pods than active'),
    );
  return errors;
}

function successErrors(job: JobView): FieldError[] {
  const errors: FieldError[] = [];
  if (job.succeeding && job.failed)
    errors.push(badConditions('cannot set SuccessCriteriaMet=True and Failed=true conditions'));
  if (job.succeeding && job.has('FailureTarget'))
    errors.push(badConditions('cannot set SuccessCriteriaMet=True and FailureTarget=true conditions'));
  if (isSet(job.spec['successPolicy']) && !job.succeeding && job.complete)
    errors.push(
      badConditions('cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True'),
    );
  return errors;
}

function transitionErrors(job: JobView, old: JobView, changed: Changes): FieldError[] {
  const errors: FieldError[] = [];
  for (const type of ['Failed', 'Complete', 'FailureTarget'])
    if (old.has(type) && !job.has(type))
      errors.push(badConditions(`cannot disable the terminal ${type}=True condition`));
  // An indexed job whose completions follow its parallelism may shrink, and what succeeded with it.
  const elastic = job.indexed && job.spec['completions'] === job.spec['parallelism'];
  for (const name of elastic ? ['failed'] : ['failed', 'succeeded'])
    if (job.count(name) < old.count(name))
      errors.push(
        fieldError.invalid(statusPath.child(name), job.count(name), `cannot decrease the ${name} counter`),
      );
  if (changed.completionTime && isSet(job.status['completionTime']) && isSet(old.status['completionTime']))
    errors.push(
      fieldError.invalid(
        statusPath.child('completionTime'),
        job.status['completionTime'],
        'field is immutable',
      ),
    );
  const resuming = old.has('Suspended') && job.has('Suspended', 'False');
  if (changed.startTime && !resuming && isSet(old.status['startTime']) && job.spec['suspend'] !== true)
    errors.push(
      fieldError.invalid(
        statusPath.child('startTime'),
        job.status['startTime'] ?? null,
        'field is immutable for unsuspended job once set',
      ),
    );
  if (old.succeeding && !job.succeeding)
    errors.push(badConditions('cannot disable the SuccessCriteriaMet=True condition'));
  if (old.complete && !old.succeeding && job.succeeding)
    errors.push(
      badConditions('cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions'),
    );
  return errors;
}

/** What a write of a job's status may not do: contradict itself, or take back how a job ended. */
export function validateJobStatus(object: KubeObject, before: KubeObject): FieldError[] {
  const [job, old] = [new JobView(object), new JobView(before)];
  const changed = changesOf(job, old);
  return [
    ...nonNegativeFields(job.status, statusPath, 'active', 'succeeded', 'failed', 'ready', 'terminating'),
    ...uncountedErrors(job),
    ...endingErrors(job, changed),
    ...finishedErrors(job, changed),
    ...indexErrors(job, changed),
    ...countErrors(job, changed),
    ...successErrors(job),
    ...transitionErrors(job, old, changed),
  ];
}
