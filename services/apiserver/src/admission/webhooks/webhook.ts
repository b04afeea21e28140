import type { KubeObject, LabelSelectorObject } from '@pilothouse/apimachinery';

export interface WebhookClientConfig {
  readonly url?: string;
  readonly service?: {
    readonly namespace: string;
    readonly name: string;
    readonly path?: string;
    readonly port?: number;
  };
  /** base64 of a PEM bundle; absent: the host's trust roots. */
  readonly caBundle?: string;
}

export interface WebhookRule {
  readonly operations?: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly apiVersions?: readonly string[];
  readonly resources?: readonly string[];
  readonly scope?: string;
}

export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** One entry of a MutatingWebhookConfiguration or ValidatingWebhookConfiguration. */
export interface Webhook {
  readonly name: string;
  readonly clientConfig: WebhookClientConfig;
  readonly rules?: readonly WebhookRule[];
  readonly failurePolicy?: 'Fail' | 'Ignore';
  readonly matchPolicy?: 'Exact' | 'Equivalent';
  readonly namespaceSelector?: LabelSelectorObject;
  readonly objectSelector?: LabelSelectorObject;
  readonly sideEffects?: string;
  readonly timeoutSeconds?: number;
  readonly admissionReviewVersions?: readonly string[];
  readonly matchConditions?: readonly MatchCondition[];
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded';
}

/** A webhook and the configuration it comes from. */
export interface ConfiguredWebhook {
  readonly configuration: string;
  readonly webhook: Webhook;
}

/** Webhooks in the order they are called: by configuration name, then as listed. */
export function webhooksOf(configurations: readonly KubeObject[]): ConfiguredWebhook[] {
  return [...configurations]
    .sort((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1))
    .flatMap((object) =>
      ((object['webhooks'] as Webhook[] | undefined) ?? []).map((webhook) => ({
        configuration: object.metadata.name ?? '',
        webhook,
      })),
    );
}
