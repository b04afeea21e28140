import type { MemberId } from '@pilothouse/raft';

/**
 * `save`: this member's state becomes a snapshot; `flush`: the part of that in which it is made durable; `send`, `receive`: a snapshot travels to or
 * from `peer`; `sync`: a piece of a received one is made durable; `install`: it takes the place of the state.
 */
export type SnapshotWork = 'save' | 'flush' | 'send' | 'receive' | 'sync' | 'install';

/** Told of work on snapshots as it begins; what it returns is called when that ends. For metrics. */
export type SnapshotObserver = (work: SnapshotWork, peer?: MemberId) => (isDone: boolean) => void;

/** Runs `work` and tells the observer of it. */
export async function observed<T>(
  observer: SnapshotObserver | undefined,
  kind: SnapshotWork,
  work: () => Promise<T>,
  peer?: MemberId,
): Promise<T> {
  const ended = observer?.(kind, peer);
  let isDone = false;
  try {
    const result = await work();
    isDone = result !== false;
    return result;
  } finally {
    ended?.(isDone);
  }
}
