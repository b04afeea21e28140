const removed = '[removed]';

/** Flags whose values may be secrets or lead to them by themselves. */
const secretFlags = /^(--(?:token|password|auth-token|redis-url|initial-cluster-token)(?:=))(.*)$/;

/**
 * Takes what must not leave a plane out of a text: private keys, bearer and bootstrap tokens, passwords in URLs, values of fields that are
 * named like secrets. Meant to take too much rather than too little.
 */
export function redact(text: string): string {
  return (
    text
      // A key that was cut off goes as far as its lines look like one.
      .replace(
        /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[^]*?-----END [A-Z0-9 ]*PRIVATE KEY-----|(?:(?:\r?\n|\\n)[A-Za-z0-9+/=-]+)*)/g,
        removed,
      )
      .replace(/\beyJ[\w-]{8,}(?:\.|%2E)[\w-]+(?:\.|%2E)[\w-]*/gi, removed)
      .replace(/\b(bearer|basic)(\s+|%20)[^\s"',;]+/gi, `$1 ${removed}`)
      .replace(/\b[a-z0-9]{6}\.[a-z0-9]{16}\b/g, removed)
      .replace(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']*:[^\s/@"']*@/gi, `$1${removed}@`)
      .replace(
        /("?[\w.-]*(?:password|passwd|secret|token|client-key-data|private[_-]?key|api[_-]?key|authorization)[\w.-]*"?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}&]+)/gi,
        (all, name: string, value: string) =>
          // Times, counts, switches and names of files tell nothing.
          /^"?(?:true|false|null|[\d.]+[a-z]*|\/[^"]*|)"?$/i.test(value) ? all : `${name}"${removed}"`,
      )
  );
}

/** One argument of a command line. */
export function redactArgument(argument: string): string {
  const flag = secretFlags.exec(argument);
  return flag ? `${flag[1]}${removed}` : redact(argument);
}
