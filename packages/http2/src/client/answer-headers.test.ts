import { test } from 'node:test';
import assert from 'node:assert/strict';
import { headerBlock } from '../hpack/header-block.ts';
import { readAnswerHeaders } from './answer-headers.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('readAnswerHeaders() finds the statuses among plain, Huffman and indexed fields', () => {
  const plain = headerBlock([
    [':status', '503'],
    ['x-long', 'v'.repeat(400)],
    ['grpc-status', '14'],
    ['grpc-message', 'etcdserver: no leader'],
  ]);
  assert.deepEqual(readAnswerHeaders(plain), {
    httpStatus: 503,
    grpcStatus: '14',
    grpcMessage: 'etcdserver: no leader',
  });
  // A change of the table's size, :status 200 from the static table, then :status with a Huffman text of its own.
  assert.equal(readAnswerHeaders(hex('20 88')).httpStatus, 200);
  assert.equal(readAnswerHeaders(hex('48 82 6402')).httpStatus, 302);
});

test('readAnswerHeaders() refuses blocks that are cut or that need a table', () => {
  assert.throws(() => readAnswerHeaders(hex('be')), /table/);
  assert.throws(() => readAnswerHeaders(hex('00 05 61')), /early/);
  assert.throws(() => readAnswerHeaders(hex('7f ff ff ff ff ff')), /too large/);
});
