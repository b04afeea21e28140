import type { LogWriter } from '../io/wal/log-writer.ts';
import { recordTypes } from '../io/wal/record.ts';

/** Broken twins of the real code, to prove that the checker bites. */
export const mutations = [
  'none',
  /** fdatasync does nothing. */
  'lost-fsync',
  /** Linearizable reads are answered from the local state. */
  'skip-read-index',
  /** One watch event in thirty is swallowed. */
  'drop-event',
  /** Terms and votes are not written to the log. */
  'forget-vote',
  /** Writes are acknowledged before they are durable. */
  'early-acknowledge',
  /** Leases end half a second before their time. */
  'early-lease',
  /** One watch response in ten comes after the next one. */
  'reorder-event',
  'repeat-event',
  /** A revision's events come in one response each. */
  'split-event',
  /** A watch that resumes begins one revision late. */
  'skip-on-resume',
  /** Progress is told three revisions early. */
  'early-progress',
  'wrong-previous',
  'wrong-create',
  'ignore-filter',
] as const;
export type Mutation = (typeof mutations)[number];

export function mutateWriter(writer: LogWriter, mutation: Mutation): LogWriter {
  switch (mutation) {
    case 'forget-vote':
      return {
        append: (records, mustSync, done) =>
          writer.append(
            records.filter(({ type }) => type !== recordTypes.hardState),
            mustSync,
            done,
          ),
        release: (index) => writer.release(index),
        close: () => writer.close(),
        abandon: () => writer.abandon(),
      };
    case 'early-acknowledge':
      return {
        append(records, mustSync, done) {
          writer.append(records, mustSync, () => {});
          queueMicrotask(done);
        },
        release: (index) => writer.release(index),
        close: () => writer.close(),
        abandon: () => writer.abandon(),
      };
    default:
      return writer;
  }
}
