import type { KubeObject } from '@pilothouse/apimachinery';
import { deepClone } from '../../storage/deep.ts';
import type { ObjectCodec } from '../../storage/stored-object.ts';
import { StoredObject } from '../../storage/stored-object.ts';
import type { ReviewAnswer } from '../authorization/reviews.ts';
import type {
  AdmissionHooks,
  CreateOptions,
  ResourceDescriptor,
  RestContext,
  RestStorage,
  Stored,
} from '../rest/rest-storage.ts';
import { ensureNamespace } from './object-meta.ts';

/** A resource that is only asked: created, answered, never stored. */
export class ReviewStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly #codec: ObjectCodec;
  readonly #answer: ReviewAnswer;

  constructor(resource: ResourceDescriptor, codec: ObjectCodec, answer: ReviewAnswer) {
    this.resource = resource;
    this.#codec = codec;
    this.#answer = answer;
  }

  async create(
    context: RestContext,
    _name: string,
    given: KubeObject,
    _options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored> {
    ensureNamespace(given, this.resource.namespaced, context.namespace);
    const review = (await admission.admit('CREATE', given, undefined)) ?? given;
    await admission.validate('CREATE', review, undefined);
    return new StoredObject(this.#codec, '', 0, deepClone(await this.#answer(context, review)));
  }
}
