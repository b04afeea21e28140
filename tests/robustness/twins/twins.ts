/** A store that is broken in one way, and the checks of which one must notice. */
export interface Twin {
  readonly name: string;
  readonly faults: readonly string[];
  readonly caughtBy: readonly string[];
}

const lost = [
  'no acknowledged write lost',
  'strict serializability',
  'linearizability',
  'liveness',
  'round',
  'members agree',
];

/** What each does is in break.mjs. */
export const twins: readonly Twin[] = [
  { name: 'lost-fsync', faults: ['power-cut-all'], caughtBy: lost },
  { name: 'early-acknowledge', faults: ['power-cut-all'], caughtBy: lost },
  { name: 'skip-read-index', faults: ['pause'], caughtBy: ['strict serializability', 'linearizability'] },
  { name: 'early-lease', faults: ['kill'], caughtBy: ['leases'] },
  { name: 'endless-lease', faults: [], caughtBy: ['leases'] },
  { name: 'watch-disorder', faults: [], caughtBy: ['watch ordered'] },
  { name: 'watch-repeat', faults: [], caughtBy: ['watch unique'] },
  { name: 'watch-drop', faults: [], caughtBy: ['watch reliable'] },
  { name: 'watch-split', faults: [], caughtBy: ['watch atomic'] },
  { name: 'watch-skip-on-resume', faults: [], caughtBy: ['watch resumable'] },
  { name: 'watch-early-progress', faults: [], caughtBy: ['watch bookmarkable'] },
  { name: 'watch-wrong-previous', faults: [], caughtBy: ['watch prevKV'] },
  { name: 'watch-wrong-create', faults: [], caughtBy: ['watch isCreate'] },
  { name: 'watch-no-filter', faults: [], caughtBy: ['watch filter'] },
];
