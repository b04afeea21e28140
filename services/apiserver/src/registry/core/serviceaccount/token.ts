import type { KubeObject } from '@pilothouse/apimachinery';
import { statusErrors } from '@pilothouse/apimachinery';
import type { ObjectCodec } from '../../../storage/stored-object.ts';
import { StoredObject } from '../../../storage/stored-object.ts';
import { deepClone } from '../../../storage/deep.ts';
import type { RegistryDelegates } from '../../delegates.ts';
import type { GenericStore } from '../../generic/store.ts';
import type {
  AdmissionHooks,
  CreateOptions,
  ResourceDescriptor,
  RestContext,
  RestStorage,
  Stored,
} from '../../rest/rest-storage.ts';

/** serviceaccounts/token: a TokenRequest answered with a signed token. */
export class TokenStore implements RestStorage {
  readonly resource: ResourceDescriptor;
  readonly #accounts: GenericStore;
  readonly #codec: ObjectCodec;
  readonly #delegates: RegistryDelegates;

  constructor(
    accounts: GenericStore,
    resource: ResourceDescriptor,
    codec: ObjectCodec,
    delegates: RegistryDelegates,
  ) {
    this.#accounts = accounts;
    this.resource = resource;
    this.#codec = codec;
    this.#delegates = delegates;
  }

  async create(
    context: RestContext,
    name: string,
    given: KubeObject,
    _options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored> {
    const issuer = this.#delegates.tokenIssuer;
    if (issuer === undefined) throw statusErrors.serviceUnavailable('No token issuer is configured');
    const account = (await this.#accounts.get(context, name, {})).object;
    const request = (await admission.admit('CREATE', given, undefined)) ?? given;
    const answer = await issuer.issueToken(account, request);
    await admission.validate('CREATE', answer, undefined);
    return new StoredObject(this.#codec, '', 0, deepClone(answer));
  }
}
