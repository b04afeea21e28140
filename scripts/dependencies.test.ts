import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lockFindings } from './dependencies.ts';

const good = { version: '1.2.3', integrity: 'sha512-abc', license: 'MIT' };

test('what is wrong with a lock file is told, one line each', () => {
  const findings = (found: object, place = 'node_modules/x') =>
    lockFindings({ [place]: { ...good, ...found } });
  assert.deepEqual(findings({}), []);
  assert.deepEqual(findings({ link: true, license: undefined, version: undefined }), []);
  assert.match(findings({ license: 'GPL-3.0' }).join(), /licence GPL-3.0/);
  assert.match(findings({ license: undefined }).join(), /licence none/);
  assert.deepEqual(findings({ license: '(GPL-3.0 OR MIT)' }), []);
  assert.equal(findings({ license: '(GPL-3.0 AND MIT)' }).length, 1);
  assert.match(findings({ license: 'MPL-2.0' }).join(), /licence MPL-2.0/);
  assert.deepEqual(findings({ license: 'MPL-2.0', dev: true }), []);
  assert.match(findings({ integrity: undefined }).join(), /no sha512 integrity/);
  assert.match(findings({ integrity: 'sha1-abc' }).join(), /no sha512 integrity/);
  assert.match(findings({ resolved: 'git+ssh://example.com/x' }).join(), /names no addresses/);
  assert.match(findings({ hasInstallScript: true }).join(), /runs a program/);
  assert.deepEqual(findings({ hasInstallScript: true }, 'node_modules/a/node_modules/protobufjs'), []);
  const manifest = (range: string) => lockFindings({ 'packages/a': { dependencies: { x: range } } });
  assert.deepEqual(manifest('^1.2.3'), []);
  for (const range of ['*', 'latest', 'github:a/b', '>=1', 'file:../x'])
    assert.equal(manifest(range).length, 1);
});
