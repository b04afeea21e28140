// Loaded before the store's executable (node --import), in each of its threads: breaks it in the one way that ROBUSTNESS_TWIN names, so that the
// checker can be seen to notice. Nothing in the product knows of it.
import fs from 'node:fs';

const built = (file) => import(new URL(`../../../services/store/dist/${file}`, import.meta.url).href);
const { decodeMessage, encodeMessage, mvccpb } = await import('@pilothouse/proto');

let state = 0x2545f491;
/** True once in `times`, the same way in each run. */
function now(times) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % times === 0;
}

/** Stands between the store and what it sends to watchers; `mutate(message, send)` returns what `send` returned last. */
async function betweenWatches(mutate) {
  const { WatchableStore } = await built('core/watch/watchable-store.js');
  const { stream } = WatchableStore.prototype;
  WatchableStore.prototype.stream = function (sink) {
    const memory = {};
    return stream.call(this, { send: (message) => mutate(message, (each) => sink.send(each), memory) });
  };
}

async function eachWatch(change) {
  const { WatchStream } = await built('core/watch/watchable-store.js');
  const { watch } = WatchStream.prototype;
  WatchStream.prototype.watch = function (id, spec) {
    return watch.call(this, id, change(spec));
  };
}

/** Changes decoded events one by one. */
const eachEvent = (change) =>
  betweenWatches((message, send) =>
    send(
      message.kind !== 'events'
        ? message
        : {
            ...message,
            events: message.events.map((bytes) => {
              const event = decodeMessage(mvccpb.Event, bytes);
              return change(event) ? encodeMessage(mvccpb.Event, event) : bytes;
            }),
          },
    ),
  );

const twins = {
  async 'lost-fsync'() {
    fs.fdatasyncSync = fs.fsyncSync = () => {};
  },
  async 'early-acknowledge'() {
    const { ThreadLogWriter } = await built('io/wal/thread-log-writer.js');
    const { append } = ThreadLogWriter.prototype;
    ThreadLogWriter.prototype.append = function (records, mustSync, done) {
      append.call(this, records, mustSync, () => {});
      queueMicrotask(done);
    };
  },
  async 'skip-read-index'() {
    const { ReplicaShell } = await built('io/replica/replica-shell.js');
    ReplicaShell.prototype.readBarrier = async () => {};
  },
  async 'early-lease'() {
    const { Lessor } = await built('core/lease/lessor.js');
    const { expired } = Lessor.prototype;
    Lessor.prototype.expired = function (nowMs, max) {
      return expired.call(this, nowMs + 1500, max);
    };
  },
  async 'endless-lease'() {
    const { Lessor } = await built('core/lease/lessor.js');
    Lessor.prototype.expired = () => [];
  },
  'watch-disorder': () =>
    betweenWatches((message, send, memory) => {
      const { held } = memory;
      if (held !== undefined && message.kind === 'events' && message.watchId === held.watchId) {
        memory.held = undefined;
        send(message);
        return send(held);
      }
      if (held === undefined && message.kind === 'events' && now(10)) {
        memory.held = message;
        return true;
      }
      return send(message);
    }),
  'watch-repeat': () =>
    betweenWatches((message, send) => {
      if (message.kind === 'events' && now(15)) send(message);
      return send(message);
    }),
  'watch-drop': () =>
    betweenWatches((message, send) => (message.kind === 'events' && now(30) ? true : send(message))),
  'watch-split': () =>
    betweenWatches((message, send) => {
      if (message.kind !== 'events') return send(message);
      let hasRoom = true;
      for (const event of message.events) hasRoom = send({ ...message, events: [event] });
      return hasRoom;
    }),
  'watch-skip-on-resume': () =>
    eachWatch((spec) => (spec.startRevision > 1 ? { ...spec, startRevision: spec.startRevision + 1 } : spec)),
  'watch-early-progress': () =>
    betweenWatches((message, send) =>
      send(message.kind === 'progress' ? { ...message, revision: message.revision + 3 } : message),
    ),
  'watch-wrong-previous': () =>
    eachEvent((event) => {
      if (event.prevKv === undefined || !now(10)) return false;
      event.prevKv = undefined;
      return true;
    }),
  'watch-wrong-create': () =>
    eachEvent((event) => {
      if (event.type !== 0 || !now(10)) return false;
      event.kv.createRevision = event.kv.modRevision;
      return true;
    }),
  'watch-no-filter': () => eachWatch((spec) => ({ ...spec, noPut: false, noDelete: false })),
};

const twin = twins[process.env.ROBUSTNESS_TWIN];
if (twin === undefined) throw new Error(`Unknown twin "${process.env.ROBUSTNESS_TWIN}"`);
await twin();
