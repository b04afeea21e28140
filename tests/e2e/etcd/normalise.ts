/** What a command gave, in a form in which two clusters can be compared. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Numbers that differ from cluster to cluster. */
const volatileNumbers =
  /("(?:raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|totalSize|hash|took|remaining_bytes)"\s*:\s*)\d+/g;
const volatileFields =
  /("(?:RaftTerm|RaftIndex|RaftAppliedIndex|DBSize|DBSizeInUse|TotalSize|Hash)"\s*:\s*)\d+/gi;

/** Replaces what must differ: addresses, IDs, times, sizes, versions, folders. Log lines of the client itself are dropped. */
export function normalise(text: string, places: Readonly<Record<string, string>>): string {
  let result = text;
  for (const [place, word] of Object.entries(places)) result = result.replaceAll(place, word);
  return (
    result
      .split('\n')
      .filter((line) => !line.startsWith('{"level"') && !/^\d{4}[-/]\d\d[-/]\d\d/.test(line))
      .join('\n')
      // Go's stack traces hold addresses.
      .replace(/\n\ngoroutine [\s\S]*/, '')
      // The keys of a lease come in no fixed order from etcd.
      .replace(
        /("keys":\[)([^\]]*)\]/g,
        (_, head: string, list: string) => `${head}${list.split(',').sort().join()}]`,
      )
      .replace(/(?:^"Key" : "[^"]*"\n?){2,}/gm, (keys) => keys.trimEnd().split('\n').sort().join('\n'))
      .replace(volatileNumbers, '$1<n>')
      .replace(volatileFields, '$1<n>')
      .replace(
        /(ETCD_INITIAL_CLUSTER=")([^"]*)/g,
        (_, head: string, list: string) => head + list.split(',').sort().join(),
      )
      .replace(
        /\b(?:true|false)((?:,| \|) (?:true|false))((?:,| \|)) \d+\2 \d+\2 \d+/g,
        '<leader>$1$2 <n>$2 <n>$2 <n>',
      )
      .replace(/\b[0-9a-f]{15,16}\b/g, '<id>')
      .replace(/\b\d{16,20}\b/g, '<id>')
      .replace(
        /attached keys\(\[([^\]]*)\]/g,
        (_, list: string) => `attached keys([${list.split(' ').sort().join(' ')}]`,
      )
      .replace(/(<client\d>(?:,| \|)) \d{6,}/g, '$1 <hash>')
      .replace(/\b3\.[57]\.\d+\b/g, '<version>')
      .replace(/"(3\.[57])"/g, '"<version>"')
      .replace(/\b\d+(?:\.\d+)?(?:ns|µs|us|ms|s|m)\b/g, '<time>')
      .replace(/\b\d+(?:\.\d+)? (?:[kMG]i?)?B\b/g, '<size>')
      .replace(/\b[A-Za-z]{16}\.\d+\b/g, '<token>')
      .replace(/[ \t]+$/gm, '')
      .trimEnd()
  );
}

/** Tables have columns as wide as their widest cell; the widths say nothing. */
export function squeeze(text: string): string {
  return text.replace(/[+-]{6,}/g, '+--+').replace(/ {2,}/g, ' ');
}

/** Members and endpoints come in the order of IDs, which are random, or of their answers: JSON is put in order of names. */
export function sortJson(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  const nameOf = (item: unknown): string => {
    const { name, Endpoint, endpoint } = (item ?? {}) as Record<string, unknown>;
    return [name, Endpoint, endpoint].filter((part) => typeof part === 'string').join();
  };
  const sorted = (_key: string, inner: unknown): unknown =>
    Array.isArray(inner) && inner.every((item) => nameOf(item) !== '')
      ? [...(inner as unknown[])].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
      : inner;
  return JSON.stringify(value, sorted);
}

/** The lines in order; those of a list of fields stay with their block. */
export function sortLines(text: string): string {
  const separator = /^"\w+" : /m.test(text) ? /\n(?="ID")|\n\n/ : '\n';
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .sort()
    .join('\n');
}
