import { readFileSync } from 'node:fs';
import type { Answer, Ask, AuthServer } from '../auth/server.ts';

interface AuditLine {
  readonly auditID: string;
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly sourceIPs?: readonly string[];
  readonly user: { readonly username?: string };
  readonly responseStatus?: { readonly code?: number; readonly message?: string };
}

/** A server whose every answer is looked for in its audit log. */
export interface WatchedServer extends AuthServer {
  /**
   * Throws unless the log has a line for each answer since the last call: status, verb, path and address, and the name of who asked (what
   * was attempted, where nobody was recognized). What a request was made with must not be in it.
   */
  expectRecorded(): Promise<void>;
}

const waitMs = 10_000;

export function watched(server: AuthServer, auditLog: string): WatchedServer {
  let count = 0;
  let pending: {
    readonly agent: string;
    readonly status: number;
    readonly path: string;
    readonly secrets: readonly string[];
  }[] = [];
  const ask = async (path: string, options: Ask = {}): Promise<Answer> => {
    const agent = `attack-${++count}`;
    const answer = await server.ask(path, {
      ...options,
      headers: { ...options.headers, 'user-agent': agent },
    });
    const { token } = options;
    pending.push({ agent, status: answer.status, path, secrets: token === undefined ? [] : [token] });
    return answer;
  };
  return {
    ...server,
    ask,
    admin: (path, options = {}) => ask(path, { ...options, cert: server.pki.admin }),
    async expectRecorded() {
      const expected = pending;
      pending = [];
      for (let waited = 0; ; waited += 100) {
        try {
          recorded(readFileSync(auditLog, 'utf8'), expected);
          return;
        } catch (error) {
          if (waited >= waitMs) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    },
  };
}

function recorded(
  text: string,
  expected: readonly { agent: string; status: number; path: string; secrets: readonly string[] }[],
): void {
  if (expected.length === 0) return;
  const byAgent = new Map<string, AuditLine>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const event = JSON.parse(line) as AuditLine;
    if (event.responseStatus?.code !== undefined) byAgent.set(event.userAgent ?? '', event);
  }
  for (const { agent, status, path, secrets } of expected) {
    const event = byAgent.get(agent);
    const shown = `${path}, answered with ${status}`;
    if (event === undefined) throw new Error(`no audit event of ${shown}`);
    if (event.responseStatus?.code !== status || event.requestURI !== path)
      throw new Error(`the audit event of ${shown} says ${JSON.stringify(event)}`);
    const isNamed = (event.user.username ?? '') !== '';
    const isTold =
      status === 401 ? /^Authentication failed/.test(event.responseStatus.message ?? '') : isNamed;
    if (!isTold || (event.sourceIPs ?? []).length === 0 || event.verb === '')
      throw new Error(`the audit event of ${shown} does not say who: ${JSON.stringify(event)}`);
    for (const secret of secrets)
      if (text.includes(secret)) throw new Error(`the audit log has the token of ${shown}`);
  }
}
