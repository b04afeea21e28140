import type { Clock, Logger, Random } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { FlagError } from '@pilothouse/host';
import type { UserInfo } from '../authentication/interface.ts';
import { watchFile } from '../security/file-watcher.ts';
import type { SecuritySeries } from '../metrics/security-series.ts';
import type { ObjectAccess } from '../security/object-access.ts';
import { WebhookEndpoint } from '../security/webhook-endpoint.ts';
import type { AbacAuthorizer } from './abac.ts';
import { abacAuthorizer } from './abac.ts';
import { nodeRules } from './bootstrap/bootstrap-policy.ts';
import type { ChainLink } from './chain-config.ts';
import { parseAuthorizationConfiguration } from './chain-config.ts';
import type { AuthorizationConfig, AuthorizationMode } from './config.ts';
import type {
  AuthorizationAttributes,
  AuthorizationResult,
  Authorizer,
  PolicyRule,
  ResolvedRules,
} from './interface.ts';
import { NodeGraph } from './node/node-graph.ts';
import { nodeAuthorizer, nodeIdentity } from './node/node-authorizer.ts';
import { aggregate, RbacAuthorizer } from './rbac/rbac-authorizer.ts';
import {
  alwaysAllowAuthorizer,
  alwaysDenyAuthorizer,
  privilegedGroupAuthorizer,
  unionAuthorizer,
} from './union.ts';
import type { DecisionCache } from '../shared/decision-cache.ts';
import { webhookAuthorizer } from './webhook/webhook-authorizer.ts';

const everything: PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }];
const everyPath: PolicyRule[] = [{ verbs: ['*'], nonResourceURLs: ['*'] }];
/** Of a webhook that flags describe. */
const flagWebhookTimeoutMs = 30_000;

export interface ChainPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly objects: ObjectAccess;
  readonly logger: Logger;
  readonly decisions?: DecisionCache | undefined;
  readonly series?: SecuritySeries | undefined;
}

interface BuiltChain {
  readonly links: readonly ChainLink[];
  readonly authorizer: Authorizer;
  readonly endpoints: readonly WebhookEndpoint[];
}

/** The authorizers of the configuration, in order, and what replaces them when its file changes. */
export class AuthorizerChain implements Authorizer {
  readonly rbac: RbacAuthorizer;
  readonly #ports: ChainPorts;
  readonly #config: AuthorizationConfig;
  readonly #graph: NodeGraph;
  readonly #abac: AbacAuthorizer | undefined;
  /** What was there at start: what follows objects cannot come later. */
  readonly #modes: ReadonlySet<AuthorizationMode>;
  #current: BuiltChain;

  /** Throws an Error on a chain that is empty, repeats a mode or names what cannot be read. */
  constructor(config: AuthorizationConfig, ports: ChainPorts) {
    this.#config = config;
    this.#ports = ports;
    this.rbac = new RbacAuthorizer(ports.objects);
    this.#graph = new NodeGraph(ports.objects);
    const links = this.#linksAtStart();
    this.#modes = new Set(links.map(({ type }) => type));
    if (this.#modes.has('ABAC')) {
      if (config.policyFile === undefined)
        throw new FlagError("authorization-mode ABAC's authorization policy file not passed");
      this.#abac = abacAuthorizer(config.policyFile.file, config.policyFile.text);
    }
    this.#current = this.#build(links);
  }

  has(mode: AuthorizationMode): boolean {
    return this.#modes.has(mode);
  }

  authorize(attributes: AuthorizationAttributes): Promise<AuthorizationResult> {
    return this.#current.authorizer.authorize(attributes);
  }

  /** Follows what the authorizers need; resolves when what exists is known. */
  async start(): Promise<() => void> {
    const ends = await Promise.all([
      ...(this.has('Node') ? [this.#graph.start()] : []),
      ...(this.has('RBAC') ? [this.rbac.start()] : []),
    ]);
    const file = this.#config.structured;
    if (file !== undefined) {
      const apply = (text: string): void => this.#reload(text);
      const reloads = this.#ports.series?.authorizationReloads;
      reloads?.started(file.text);
      ends.push(watchFile({ ...file, what: 'authorization configuration', apply, reloads }, this.#ports));
    }
    return () => {
      for (const end of ends) end();
      for (const endpoint of this.#current.endpoints) endpoint.close();
    };
  }

  async rulesFor(user: UserInfo, namespace: string): Promise<ResolvedRules> {
    const resourceRules: PolicyRule[] = [];
    const nonResourceRules: PolicyRule[] = [];
    const errors: string[] = [];
    let incomplete = false;
    const take = (rules: ResolvedRules): void => {
      resourceRules.push(...rules.resourceRules);
      nonResourceRules.push(...rules.nonResourceRules);
      incomplete ||= rules.incomplete;
      if (rules.evaluationError !== '') errors.push(rules.evaluationError);
    };
    const unknown = (evaluationError: string): void =>
      take({ resourceRules: [], nonResourceRules: [], incomplete: true, evaluationError });
    for (const { type } of this.#current.links) {
      if (type === 'RBAC') take(await this.rbac.rulesFor(user, namespace));
      else if (type === 'ABAC') take((this.#abac as AbacAuthorizer).rulesFor(user, namespace));
      else if (type === 'Webhook') unknown('webhook authorizer does not support user rule resolution');
      else if (type === 'Node' && nodeIdentity(user).isNode)
        unknown('node authorizer does not support user rule resolution');
      else if (type === 'AlwaysAllow') {
        resourceRules.push(...everything);
        nonResourceRules.push(...everyPath);
      }
    }
    return { resourceRules, nonResourceRules, incomplete, evaluationError: aggregate(errors) };
  }

  #linksAtStart(): readonly ChainLink[] {
    const { structured, modes, webhook } = this.#config;
    if (structured !== undefined) {
      try {
        return parseAuthorizationConfiguration(structured.text);
      } catch (error) {
        throw new FlagError(
          `failed to load AuthorizationConfiguration from file "${structured.file}": ${errorMessage(error)}`,
        );
      }
    }
    if (modes.length === 0)
      throw new Error('Cannot authorize requests: at least one authorization mode is needed');
    return modes.map((type, index) => {
      if (modes.indexOf(type) < index)
        throw new Error(`Cannot use authorization mode "${type}" more than once`);
      if (type !== 'Webhook') return { type, name: type.toLowerCase() };
      if (webhook === undefined)
        throw new FlagError("authorization-mode Webhook's authorization config file not passed");
      return {
        type,
        name: 'default',
        ...webhook,
        timeoutMs: flagWebhookTimeoutMs,
        onError: 'noOpinion' as const,
        conditions: [],
      };
    });
  }

  #reload(text: string): void {
    const links = parseAuthorizationConfiguration(text);
    for (const { type } of links) {
      const needsStart = type === 'Node' || type === 'RBAC' || type === 'ABAC';
      if (needsStart && !this.#modes.has(type)) {
        throw new Error(
          `authorizer type ${type} is not allowed if it was not enabled at initial server startup`,
        );
      }
    }
    const old = this.#current;
    this.#current = this.#build(links);
    for (const endpoint of old.endpoints) endpoint.close();
  }

  #build(links: readonly ChainLink[]): BuiltChain {
    const endpoints: WebhookEndpoint[] = [];
    const { series } = this.#ports;
    const authorizers = links.map((link): Authorizer => counted(this.#open(link, endpoints), link, series));
    return { links, authorizer: unionAuthorizer([privilegedGroupAuthorizer, ...authorizers]), endpoints };
  }

  #open(link: ChainLink, endpoints: WebhookEndpoint[]): Authorizer {
    const { clock, random, logger, series } = this.#ports;
    switch (link.type) {
      case 'Node':
        return nodeAuthorizer(this.#graph, nodeRules());
      case 'RBAC':
        return this.rbac;
      case 'ABAC':
        return this.#abac as AbacAuthorizer;
      case 'AlwaysAllow':
        return alwaysAllowAuthorizer;
      case 'AlwaysDeny':
        return alwaysDenyAuthorizer;
      case 'Webhook': {
        const endpoint = new WebhookEndpoint(link.kubeconfig, { clock, random, logger });
        endpoints.push(endpoint);
        const { decisions } = this.#ports;
        const scope = `authorizer ${link.name} ${link.reviewVersion} ${endpoint.url}`;
        const shared = decisions && { decisions, scope };
        return webhookAuthorizer({ ...link, endpoint, clock, logger, shared, series });
      }
      default:
        throw new Error(
          `Unknown authorization mode "${String((link as ChainLink).type)}": expected Node, RBAC, ABAC, Webhook, AlwaysAllow or AlwaysDeny`,
        );
    }
  }
}

/** Tells of what an authorizer decides; having no opinion is none. */
function counted(authorizer: Authorizer, link: ChainLink, series: SecuritySeries | undefined): Authorizer {
  if (series === undefined) return authorizer;
  const allowed = lazily(() => series.decisions.cell(link.type, link.name, 'allowed'));
  const denied = lazily(() => series.decisions.cell(link.type, link.name, 'denied'));
  return {
    async authorize(attributes) {
      const result = await authorizer.authorize(attributes);
      if (result.decision === 'allow') allowed().inc();
      else if (result.decision === 'deny') denied().inc();
      return result;
    },
  };
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
