import type { KubeObject } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';
import { GenericStore } from '../registry/generic/store.ts';
import type { AdmissionHooks, CreateOptions, RestContext, Stored } from '../registry/rest/rest-storage.ts';

/** Custom resources of one version. While their definition goes away no new ones come. */
export class CustomResourceStore extends GenericStore {
  terminating = false;

  override create(
    context: RestContext,
    name: string,
    object: KubeObject,
    options: CreateOptions,
    admission: AdmissionHooks,
  ): Promise<Stored> {
    if (this.terminating) {
      const { group, resource } = this.groupResource;
      return Promise.reject(
        new StatusError(
          405,
          'MethodNotAllowed',
          'create not allowed while custom resource definition is terminating',
          { group, kind: resource },
        ),
      );
    }
    return super.create(context, name, object, options, admission);
  }
}
