export const core = (own: { readonly namespace: string }): string => `/api/v1/namespaces/${own.namespace}`;

export const group = (name: string, own: { readonly namespace: string }): string =>
  `/apis/${name}/namespaces/${own.namespace}`;
