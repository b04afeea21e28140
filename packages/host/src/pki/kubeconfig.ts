/** What {@link renderKubeconfig} puts into a kubeconfig; certificates and keys are PEM and are embedded. */
export interface KubeconfigOptions {
  /** URL, e.g. `https://127.0.0.1:6443`. */
  readonly server: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly token?: string;
  /** Default `pilothouse`. */
  readonly cluster?: string;
  /** Default `admin`. */
  readonly user?: string;
  /** Default `<user>@<cluster>`. */
  readonly context?: string;
  readonly namespace?: string;
}

/** A kubeconfig (YAML) with one cluster, one user and one context, which is current. */
export function renderKubeconfig(options: KubeconfigOptions): string {
  const cluster = options.cluster ?? 'pilothouse';
  const user = options.user ?? 'admin';
  const context = options.context ?? `${user}@${cluster}`;
  const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
  const lines = ['apiVersion: v1', 'kind: Config', 'clusters:', '- cluster:'];
  if (options.ca !== undefined) lines.push(`    certificate-authority-data: ${base64(options.ca)}`);
  lines.push(`    server: ${quote(options.server)}`, `  name: ${quote(cluster)}`);
  lines.push('contexts:', '- context:', `    cluster: ${quote(cluster)}`);
  if (options.namespace !== undefined) lines.push(`    namespace: ${quote(options.namespace)}`);
  lines.push(`    user: ${quote(user)}`, `  name: ${quote(context)}`);
  lines.push(`current-context: ${quote(context)}`, 'preferences: {}', 'users:', `- name: ${quote(user)}`);
  const credentials: string[] = [];
  if (options.cert !== undefined) credentials.push(`    client-certificate-data: ${base64(options.cert)}`);
  if (options.key !== undefined) credentials.push(`    client-key-data: ${base64(options.key)}`);
  if (options.token !== undefined) credentials.push(`    token: ${quote(options.token)}`);
  if (credentials.length === 0) lines.push('  user: {}');
  else lines.push('  user:', ...credentials);
  return `${lines.join('\n')}\n`;
}

// A JSON string is a YAML double-quoted scalar; plain ones stay bare to read well.
function quote(text: string): string {
  return /^[A-Za-z][A-Za-z0-9@./_-]*(:[A-Za-z0-9@./_-]+)*$/.test(text) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text)
    ? text
    : JSON.stringify(text);
}
