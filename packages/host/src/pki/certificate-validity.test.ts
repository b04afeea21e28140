import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthority } from './certificate.ts';
import { validityProblem } from './certificate-validity.ts';

const day = 86_400_000;
const from = Date.UTC(2026, 0, 1);

test('the time of a certificate is told when it is over, near its end, or not there yet', async () => {
  const { certPem } = await createAuthority('x', from, from + 100 * day);
  assert.equal(validityProblem(certPem, from + 50 * day), undefined);
  assert.match(validityProblem(certPem, from - day) ?? '', /valid from 2026-01-01 00:00 UTC only/);
  assert.match(validityProblem(certPem, from + 95 * day) ?? '', /expires on 2026-04-11/);
  assert.match(validityProblem(certPem, from + 101 * day) ?? '', /expired on 2026-04-11 00:00 UTC/);
  const short = await createAuthority('x', from, from + day);
  assert.equal(validityProblem(short.certPem, from + day / 2), undefined);
});
