import type { KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { adjustSeats } from './borrowing.ts';
import type { Classification } from './classifier.ts';
import { Classifier } from './classifier.ts';
import { levelSettings, PriorityLevel, sharesOf } from './priority-level.ts';

export interface FlowControllerOptions {
  /** Seats of the whole server. */
  readonly serverSeats: number;
  /** Objects of the moment; frozen, the same object as long as it does not change. */
  flowSchemas(): Iterable<KubeObject>;
  priorityLevels(): Iterable<KubeObject>;
  /** What must always be there, for the time before the objects are known. */
  readonly mandatoryLevels: readonly KubeObject[];
  readonly mandatorySchemas: readonly KubeObject[];
}

/** How old the knowledge of the objects may be, milliseconds. */
const refreshMs = 100;
/** How often seats are lent anew, milliseconds (upstream's period). */
const adjustMs = 10_000;

/**
 * The priority levels of a server as its API objects describe them, and which of them a request belongs to. Pure: it looks at the
 * objects and at its periods when it is asked, with the time of the question.
 */
export class FlowController {
  readonly #options: FlowControllerOptions;
  readonly levels = new Map<string, PriorityLevel>();
  /** Fair fraction of the last adjustment. */
  fairFraction = 0;
  #classifier: Classifier;
  #seen: readonly KubeObject[] = [];
  #refreshAt = Number.NEGATIVE_INFINITY;
  #adjustAt: number;

  constructor(options: FlowControllerOptions, nowMs: number) {
    this.#options = options;
    this.#adjustAt = nowMs + adjustMs;
    this.#classifier = this.#build(nowMs, [], []);
    this.#refresh(nowMs);
  }

  classify(nowMs: number, user: UserInfo, info: RequestInfo): Classification {
    this.maintain(nowMs);
    return this.#classifier.classify(user, info);
  }

  /** Takes changed objects over and lends seats when it is time. Cheap when there is nothing to do. */
  maintain(nowMs: number): void {
    if (nowMs >= this.#refreshAt) this.#refresh(nowMs);
    if (nowMs >= this.#adjustAt) {
      this.#adjustAt = nowMs + adjustMs;
      this.fairFraction = adjustSeats(this.levels.values(), nowMs);
    }
  }

  #refresh(nowMs: number): void {
    this.#refreshAt = nowMs + refreshMs;
    const levels = [...this.#options.priorityLevels()];
    const schemas = [...this.#options.flowSchemas()];
    const seen = [...levels, ...schemas];
    const same = seen.length === this.#seen.length && seen.every((each, index) => each === this.#seen[index]);
    if (!same || this.levels.size === 0) this.#classifier = this.#build(nowMs, levels, schemas);
    this.#seen = seen;
    for (const [name, level] of this.levels) {
      if (level.isQuiescing && level.queue.isIdle) this.levels.delete(name);
    }
  }

  #build(nowMs: number, given: readonly KubeObject[], schemas: readonly KubeObject[]): Classifier {
    const objects = withMandatory(given, this.#options.mandatoryLevels);
    const { serverSeats } = this.#options;
    const shareSum = objects.reduce((sum, each) => sum + sharesOf(each), 0);
    const wanted = new Set<string>();
    for (const object of objects) {
      const name = object.metadata.name ?? '';
      wanted.add(name);
      const settings = levelSettings(object, serverSeats, shareSum);
      const known = this.levels.get(name);
      // An exempt level counts without limits; one that becomes limited begins anew.
      if (known !== undefined && known.settings.isExempt === settings.isExempt)
        known.configure(nowMs, settings);
      else this.levels.set(name, new PriorityLevel(name, settings, nowMs));
      (this.levels.get(name) as PriorityLevel).uid = object.metadata.uid ?? '';
    }
    for (const [name, level] of this.levels) if (!wanted.has(name)) level.isQuiescing = true;
    const usable = withMandatory(schemas, this.#options.mandatorySchemas).filter((schema) =>
      wanted.has((schema['spec']?.priorityLevelConfiguration?.name as string) ?? ''),
    );
    return new Classifier(
      usable,
      (name) => (this.levels.get(name) ?? this.levels.get('catch-all')) as PriorityLevel,
    );
  }
}

function withMandatory(given: readonly KubeObject[], mandatory: readonly KubeObject[]): KubeObject[] {
  const names = new Set(given.map((each) => each.metadata.name));
  return [...given, ...mandatory.filter((each) => !names.has(each.metadata.name))];
}
