import type { AuthorizationAttributes, SelectorRequirement } from '../interface.ts';

/** A question as SubjectAccessReview (authorization/v1) asks it. */
export function accessReviewSpec(attributes: AuthorizationAttributes): Record<string, unknown> {
  const { user } = attributes;
  const text = (members: Record<string, string | undefined>): Record<string, string> =>
    Object.fromEntries(
      Object.entries(members).filter((entry): entry is [string, string] => (entry[1] ?? '') !== ''),
    );
  const selector = (
    name: string,
    requirements: readonly SelectorRequirement[] | undefined,
  ): Record<string, unknown> =>
    requirements === undefined || requirements.length === 0 ? {} : { [name]: { requirements } };
  return {
    ...(attributes.isResourceRequest
      ? {
          resourceAttributes: {
            ...text({
              namespace: attributes.namespace,
              verb: attributes.verb,
              group: attributes.apiGroup,
              version: attributes.apiVersion,
              resource: attributes.resource,
              subresource: attributes.subresource,
              name: attributes.name,
            }),
            ...selector('fieldSelector', attributes.fieldSelector),
            ...selector('labelSelector', attributes.labelSelector),
          },
        }
      : { nonResourceAttributes: text({ path: attributes.path, verb: attributes.verb }) }),
    ...text({ user: user.name, uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: [...user.groups] }),
    ...(user.extra === undefined || Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  };
}
