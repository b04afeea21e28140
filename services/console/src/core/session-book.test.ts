import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeClock, SeededRandom } from '@pilothouse/testkit';
import { cookieValue, SessionBook } from './session-book.ts';

function book(clock: FakeClock, ended: string[], sessionsMax = 10): SessionBook<string> {
  return new SessionBook<string>(
    { clock, random: new SeededRandom(1), idleMs: 100, lifetimeMs: 250, sessionsMax, secretBytes: 32 },
    (value) => ended.push(value),
  );
}

test('a session ends when it is not used, and in any case after its lifetime', () => {
  const clock = new FakeClock();
  const ended: string[] = [];
  const sessions = book(clock, ended);
  const id = sessions.start('a');
  assert.equal(id.length, 43);
  for (const _ of [1, 2, 3]) {
    clock.advance(80);
    assert.equal(sessions.find(id), 'a');
  }
  clock.advance(80);
  assert.equal(sessions.find(id), undefined);
  assert.deepEqual(ended, ['a']);
  const idle = sessions.start('b');
  clock.advance(101);
  sessions.sweep();
  assert.equal(sessions.size, 0);
  assert.equal(sessions.find(idle), undefined);
  assert.deepEqual(ended, ['a', 'b']);
});

test('the least used session makes room', () => {
  const clock = new FakeClock();
  const ended: string[] = [];
  const sessions = book(clock, ended, 2);
  const first = sessions.start('first');
  clock.advance(1);
  sessions.start('second');
  clock.advance(1);
  sessions.find(first);
  sessions.start('third');
  assert.deepEqual(ended, ['second']);
  sessions.end(first);
  sessions.end(first);
  assert.deepEqual(ended, ['second', 'first']);
});

test('cookies are told apart by their whole names', () => {
  assert.equal(cookieValue('a=1; console-1=x; console-12=y=z', 'console-12'), 'y=z');
  assert.equal(cookieValue('xconsole=1', 'console'), undefined);
  assert.equal(cookieValue(undefined, 'console'), undefined);
});
