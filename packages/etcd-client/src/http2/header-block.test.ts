import { test } from 'node:test';
import assert from 'node:assert/strict';
import { headerBlock, readAnswerHeaders } from './header-block.ts';
import { huffmanText } from './huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('huffmanText() reads the examples of RFC 7541, appendix C', () => {
  assert.equal(huffmanText(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff')), 'www.example.com');
  assert.equal(huffmanText(hex('9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3')), 'https://www.example.com');
  assert.equal(
    huffmanText(
      hex(
        '94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ),
    ),
    'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
  );
});

test('huffmanText() refuses padding that is too long or not all ones', () => {
  assert.throws(() => huffmanText(hex('f1e3 c2e5 f23a 6ba0 ab90 f4ff ff')), /padding|code/);
  assert.throws(() => huffmanText(hex('00')), /padding/);
});

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
