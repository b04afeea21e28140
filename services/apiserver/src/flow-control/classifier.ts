import type { KubeObject } from '@pilothouse/apimachinery';
import type { UserInfo } from '../authentication/interface.ts';
import type { RequestInfo } from '../request/request-info.ts';
import { matchFlowSchema } from './flow-schema.ts';
import type { PriorityLevel } from './priority-level.ts';

/** Where a request belongs. */
export interface Classification {
  readonly schemaName: string;
  readonly schemaUid: string;
  readonly level: PriorityLevel;
  readonly distinguisher: 'ByUser' | 'ByNamespace' | '';
}

const answersKept = 512;

/** Finds the flow schema of requests; remembers the answers for users that are known by identity. Made anew when schemas change. */
export class Classifier {
  readonly #schemas: readonly KubeObject[];
  readonly #levelOf: (name: string) => PriorityLevel;
  readonly #byName = new Map<string, Classification>();
  readonly #known = new WeakMap<UserInfo, Map<string, Classification>>();

  /** Schemas whose level is missing are left out; `levelOf` gives catch-all for what is not there. */
  constructor(schemas: readonly KubeObject[], levelOf: (name: string) => PriorityLevel) {
    this.#schemas = schemas;
    this.#levelOf = levelOf;
  }

  classify(user: UserInfo, info: RequestInfo): Classification {
    // Paths are endless, resources are not.
    if (!info.isResourceRequest) return this.#find(user, info);
    let answers = this.#known.get(user);
    if (answers === undefined) this.#known.set(user, (answers = new Map()));
    const key = `${info.verb} ${info.apiGroup} ${info.resource} ${info.subresource} ${info.namespace}`;
    let answer = answers.get(key);
    if (answer === undefined) {
      answer = this.#find(user, info);
      if (answers.size >= answersKept) answers.clear();
      answers.set(key, answer);
    }
    return answer;
  }

  #find(user: UserInfo, info: RequestInfo): Classification {
    const schema = matchFlowSchema(this.#schemas, user, info);
    const name = schema?.metadata.name ?? 'catch-all';
    let found = this.#byName.get(name);
    if (found === undefined) {
      found = {
        schemaName: name,
        schemaUid: schema?.metadata.uid ?? '',
        level: this.#levelOf((schema?.['spec']?.priorityLevelConfiguration?.name as string) ?? 'catch-all'),
        distinguisher: (schema?.['spec']?.distinguisherMethod?.type as 'ByUser' | 'ByNamespace') ?? '',
      };
      this.#byName.set(name, found);
    }
    return found;
  }
}
