import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outcomeBytes, ResizeReader, ResizeSlot } from './remote-streams.ts';

test('the error stream says how a command ended, in the words of each version', () => {
  assert.equal(outcomeBytes({ exitCode: 0 }, 4).toString(), '{"metadata":{},"status":"Success"}');
  assert.equal(outcomeBytes({ exitCode: 0 }, 1).length, 0);
  assert.equal(
    outcomeBytes({ exitCode: 3 }, 2).toString(),
    'command terminated with non-zero exit code: exit status 3',
  );
  const status = JSON.parse(outcomeBytes({ exitCode: 3 }, 5).toString()) as {
    reason: string;
    details: { causes: { reason: string; message: string }[] };
  };
  assert.equal(status.reason, 'NonZeroExitCode');
  assert.deepEqual(status.details.causes, [{ reason: 'ExitCode', message: '3' }]);
  assert.match(outcomeBytes({ error: 'no shell' }, 4).toString(), /"reason":"InternalError"/);
});

test('sizes are read however they are cut; the last one before a listener counts', () => {
  const reader = new ResizeReader();
  assert.deepEqual(reader.push(Buffer.from('{"Width":8')), []);
  assert.deepEqual(reader.push(Buffer.from('0,"Height":24}\n{"Width":0,"Height":1}{"Width":5,"Height":6}')), [
    { width: 80, height: 24 },
    { width: 5, height: 6 },
  ]);
  const slot = new ResizeSlot();
  slot.put({ width: 1, height: 1 });
  slot.put({ width: 2, height: 2 });
  const seen: number[] = [];
  slot.listen((size) => seen.push(size.width));
  slot.put({ width: 3, height: 3 });
  assert.deepEqual(seen, [2, 3]);
});
