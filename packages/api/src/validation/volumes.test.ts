import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FieldPath } from '@pilothouse/apimachinery';
import { validateVolumes } from './volumes.ts';

const fieldsOf = (volumes: object[]): string[] =>
  validateVolumes(volumes, new FieldPath('volumes'), undefined).map((each) => each.field);

it('a projection has one source, and the secret of a volume a name', () => {
  const projected = { sources: [{ secret: { name: 's' }, configMap: { name: 'c' } }] };
  assert.deepEqual(
    fieldsOf([
      { name: 'a', projected },
      { name: 'b', cinder: { volumeID: 'v', secretRef: {} } },
    ]),
    ['volumes[0].projected.sources[0]', 'volumes[1].cinder.secretRef.name'],
  );
});

it('a second source of a volume is named as upstream names it', () => {
  const two = { name: 'a', emptyDir: {}, downwardAPI: {} };
  assert.deepEqual(fieldsOf([two]), ['volumes[0].downwarAPI']);
});
