import assert from 'node:assert/strict';
import { it } from 'node:test';

import { decodeContinue, encodeContinue } from './continue-token.ts';

it('a token gives its position back', () => {
  const position = { startKey: 'ns/name', revision: 7 };
  assert.deepEqual(decodeContinue(encodeContinue(position)), position);
});

it('a token that is no token is the client’s fault', () => {
  for (const token of ['bnVsbA', 'W10', 'e30', 'x', '%', '']) {
    assert.throws(
      () => decodeContinue(token),
      (error: { httpCode?: number }) => error.httpCode === 400,
      token,
    );
  }
});
