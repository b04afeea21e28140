import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError } from '@pilothouse/host';
import { gateIsOn, gatesWithoutEffect } from './feature-gates.ts';

test('a gate follows its own name, then its stage, then the release', () => {
  assert.equal(gateIsOn('StorageVersionMigrator', {}), false);
  assert.equal(gateIsOn('StorageVersionMigrator', { AllBeta: 'true' }), true);
  assert.equal(
    gateIsOn('StorageVersionMigrator', { AllBeta: 'true', StorageVersionMigrator: 'false' }),
    false,
  );
  assert.equal(gateIsOn('StorageVersionMigrator', { AllAlpha: 'true' }), false);
  assert.throws(() => gateIsOn('StorageVersionMigrator', { StorageVersionMigrator: 'yes' }), FlagError);
});

test('gates that nobody asks for are told', () => {
  assert.deepEqual(gatesWithoutEffect({ AllBeta: 'true', A: 'true', B: 'true' }, [{ gate: 'B' }, {}]), ['A']);
});
