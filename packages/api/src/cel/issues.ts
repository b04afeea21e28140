/** A finding about an expression and its place, in characters from the start. */
export interface CelIssue {
  readonly at: number;
  readonly text: string;
}

/** Thrown by the parser and the checker. The message is in upstream's form, each finding with the place marked. */
export class CelCompileError extends Error {
  readonly issues: readonly CelIssue[];
  constructor(source: string, issues: readonly CelIssue[]) {
    super(issues.map((issue) => described(source, issue)).join('\n'));
    this.name = 'CelCompileError';
    this.issues = issues;
  }
}

function described(source: string, { at, text }: CelIssue): string {
  const before = [...source.slice(0, at)].join('').split('\n');
  const column = [...(before.at(-1) as string)].length;
  const line = (source.split('\n')[before.length - 1] ?? '').replaceAll('\t', ' ');
  return `ERROR: <input>:${before.length}:${column + 1}: ${text}\n | ${line}\n | ${'.'.repeat(column)}^`;
}

/** Thrown when an expression fails on its values, or costs more than it may. */
export class CelEvaluationError extends Error {
  override readonly name = 'CelEvaluationError';
  readonly isCostLimit: boolean;
  constructor(message: string, isCostLimit = false) {
    super(message);
    this.isCostLimit = isCostLimit;
  }
}

/** Thrown by a function whose answer must be waited for: the caller gets it and runs the expression again. */
export class CelPending extends Error {
  readonly key: string;
  readonly resolve: () => Promise<void>;
  constructor(key: string, resolve: () => Promise<void>) {
    super(`waiting for ${key}`);
    this.name = 'CelPending';
    this.key = key;
    this.resolve = resolve;
  }
}
