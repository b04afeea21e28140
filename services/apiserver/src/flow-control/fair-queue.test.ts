import assert from 'node:assert/strict';
import test from 'node:test';
import { FairQueue } from './fair-queue.ts';
import { dealHand } from './shuffle-shard.ts';
import type { Ticket, Work } from './ticket.ts';
import { newTicket } from './ticket.ts';

const narrow: Work = { initialSeats: 1, finalSeats: 0, additionalLatencyMs: 0 };

function ticket(flow: string, work: Work = narrow, log?: string[]): Ticket {
  return newTicket({
    flowSchema: 'test',
    distinguisher: flow,
    work,
    arrivedMs: 0,
    onDispatch: () => log?.push(flow),
  });
}

test('a hand has different queues and is the same for the same flow', () => {
  for (let flow = 0; flow < 200; flow++) {
    const hand = dealHand(`flow-${flow}`, 16, 6);
    assert.equal(new Set(hand).size, 6);
    assert.ok(hand.every((card) => card >= 0 && card < 16));
    assert.deepEqual(hand, dealHand(`flow-${flow}`, 16, 6));
  }
  assert.equal(new Set(dealHand('all', 4, 9)).size, 4);
  const used = new Set(Array.from({ length: 500 }, (_, flow) => dealHand(`flow-${flow}`, 128, 6)).flat());
  assert.equal(used.size, 128);
});

test('without queues the limit refuses', () => {
  const queue = new FairQueue(undefined, 2);
  const first = ticket('a');
  assert.equal(queue.arrive(0, first), 'execute');
  assert.equal(queue.arrive(0, ticket('a')), 'execute');
  assert.equal(queue.arrive(0, ticket('b')), 'concurrency-limit');
  queue.finish(5, first);
  assert.equal(queue.arrive(5, ticket('b')), 'execute');
  assert.equal(queue.rejected, 1);
});

test('an exempt level never refuses but counts', () => {
  const queue = new FairQueue(undefined, undefined);
  const tickets = Array.from({ length: 1000 }, () => ticket('a'));
  for (const each of tickets) assert.equal(queue.arrive(0, each), 'execute');
  assert.equal(queue.executing, 1000);
  for (const each of tickets) queue.finish(1, each);
  assert.ok(queue.isIdle);
});

test('a full queue refuses, a waiting request may leave', () => {
  const queue = new FairQueue({ queues: 1, handSize: 1, lengthLimit: 2 }, 1);
  const running = ticket('a');
  const second = ticket('a');
  assert.equal(queue.arrive(0, running), 'execute');
  assert.equal(queue.arrive(0, second), 'queued');
  assert.equal(queue.arrive(0, ticket('a')), 'queued');
  assert.equal(queue.arrive(0, ticket('a')), 'queue-full');
  assert.ok(queue.leave(1, second, 'time-out'));
  assert.ok(!queue.leave(1, second, 'time-out'));
  assert.equal(queue.waiting, 1);
  assert.equal(queue.timedOut, 1);
  queue.finish(2, running);
  assert.equal(queue.waiting, 0);
  assert.equal(queue.executing, 1);
});

/** Keeps the seats busy for `steps` of 10 ms; who got how many executions. */
function contend(
  queue: FairQueue,
  backlog: Record<string, number>,
  steps: number,
  work: Record<string, Work>,
) {
  const done: Record<string, number> = {};
  const running = new Set<Ticket>();
  let now = 0;
  for (const [flow, count] of Object.entries(backlog)) {
    for (let index = 0; index < count; index++) {
      const each: Ticket = newTicket({
        flowSchema: 'test',
        distinguisher: flow,
        work: work[flow] ?? narrow,
        arrivedMs: 0,
        onDispatch: () => {
          running.add(each);
          done[flow] = (done[flow] ?? 0) + 1;
        },
      });
      queue.arrive(now, each);
    }
  }
  for (let step = 0; step < steps; step++) {
    now += 10;
    for (const each of [...running]) {
      running.delete(each);
      queue.finish(now, each);
    }
  }
  return done;
}

test('a noisy flow does not starve a quiet one', () => {
  const queue = new FairQueue({ queues: 64, handSize: 4, lengthLimit: 2000 }, 4);
  const done = contend(queue, { elephant: 2000, mouse: 40 }, 25, {});
  assert.equal(done['mouse'], 40);
  assert.ok((done['elephant'] as number) >= 40);
});

test('wide requests pay for their seats', () => {
  const queue = new FairQueue({ queues: 64, handSize: 1, lengthLimit: 2000 }, 8);
  const wide: Work = { initialSeats: 4, finalSeats: 0, additionalLatencyMs: 0 };
  const done = contend(queue, { lists: 1000, gets: 1000 }, 100, { lists: wide });
  const ratio = (done['gets'] as number) / (done['lists'] as number);
  assert.ok(ratio > 3 && ratio < 5, `gets for each list: ${ratio}`);
});

test('a request wider than the level is executed alone', () => {
  const log: string[] = [];
  const queue = new FairQueue({ queues: 1, handSize: 1, lengthLimit: 10 }, 2);
  const small = ticket('small', narrow, log);
  queue.arrive(0, small);
  const huge = ticket('huge', { initialSeats: 10, finalSeats: 0, additionalLatencyMs: 0 }, log);
  assert.equal(queue.arrive(0, huge), 'queued');
  assert.equal(queue.arrive(0, ticket('later', narrow, log)), 'queued');
  queue.finish(1, small);
  assert.deepEqual(log, ['small', 'huge']);
  queue.finish(2, huge);
  assert.deepEqual(log, ['small', 'huge', 'later']);
});

test('seats of a write are kept for the events that follow it', () => {
  const queue = new FairQueue(undefined, 10);
  const write = ticket('a', { initialSeats: 1, finalSeats: 10, additionalLatencyMs: 50 });
  assert.equal(queue.arrive(0, write), 'execute');
  queue.finish(10, write);
  assert.equal(queue.executing, 0);
  assert.equal(queue.seatsInUse, 10);
  assert.equal(queue.arrive(20, ticket('b')), 'concurrency-limit');
  queue.release(60, write);
  assert.equal(queue.arrive(60, ticket('b')), 'execute');
});

test('fewer queues: those with requests stay until they are empty', () => {
  const log: string[] = [];
  const queue = new FairQueue({ queues: 8, handSize: 8, lengthLimit: 10 }, 1);
  const tickets = Array.from({ length: 9 }, (_, index) => ticket(`f${index}`, narrow, log));
  for (const each of tickets) queue.arrive(0, each);
  queue.configure(1, { queues: 2, handSize: 1, lengthLimit: 10 }, 9);
  assert.equal(log.length, 9);
  for (const each of tickets) queue.finish(2, each);
  assert.equal(queue.dump().queues.length, 2);
  assert.ok(queue.isIdle);
});

test('an attempt without enough seats is told; virtual time shows who comes next', () => {
  const queue = new FairQueue({ queues: 4, handSize: 2, lengthLimit: 10 }, 2);
  let refused = 0;
  const wide: Work = { initialSeats: 2, finalSeats: 0, additionalLatencyMs: 0 };
  const running = ticket('a');
  assert.equal(queue.arrive(0, running), 'execute');
  assert.equal(queue.progress.nextStarts, undefined);
  assert.equal(queue.progress.latestStart, 0);
  const waiting = newTicket({
    flowSchema: 'test',
    distinguisher: 'b',
    work: wide,
    arrivedMs: 0,
    onDispatch: () => {},
    onNoRoom: () => refused++,
  });
  assert.equal(queue.arrive(0, waiting), 'queued');
  assert.equal(refused, 1);
  assert.notEqual(queue.progress.nextStarts, undefined);
  queue.finish(10, running);
  assert.equal(waiting.state, 'executing');
  assert.equal(refused, 1);
  assert.ok(queue.progress.current > 0);
  assert.equal(queue.progress.atLastDispatch, queue.progress.current);
  assert.equal(queue.progress.nextStarts, undefined);
});
