import type { Propose } from './message.ts';

/** Gaps that are remembered per sender; older batch numbers count as seen, which loses a proposal and never repeats one. */
const gapsMax = 1024;

interface Sender {
  highest: number;
  /** Numbers below `highest` that have not arrived. */
  readonly missing: Set<number>;
}

/** Which forwarded batches a leader has taken in its term, so that a repeated message does not append twice. */
export class ForwardedBatches {
  readonly #senders = new Map<string, Sender>();

  isNew(message: Propose): boolean {
    const key = `${message.from}/${message.incarnation}`;
    let sender = this.#senders.get(key);
    if (!sender) {
      sender = { highest: Math.max(0, message.batch - 1), missing: new Set() };
      // Earlier batches may still be on their way, delayed: they are new when they come.
      for (let batch = Math.max(1, message.batch - 64); batch < message.batch; batch++)
        sender.missing.add(batch);
      this.#senders.set(key, sender);
    }
    if (message.batch <= sender.highest) return sender.missing.delete(message.batch);
    for (let batch = sender.highest + 1; batch < message.batch; batch++) sender.missing.add(batch);
    sender.highest = message.batch;
    for (const batch of sender.missing) {
      if (sender.missing.size <= gapsMax) break;
      sender.missing.delete(batch);
    }
    return true;
  }

  clear(): void {
    this.#senders.clear();
  }
}
