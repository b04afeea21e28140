import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '@pilothouse/testkit';
import { headerBlock } from './header-block.ts';
import { HeaderDecoder } from './header-decoder.ts';
import { huffmanText } from './huffman.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function fieldsOf(decoder: HeaderDecoder, block: Buffer): string[] {
  const fields: string[] = [];
  decoder.decode(block, ({ name, value }) => void fields.push(`${name}: ${value}`));
  return fields;
}

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

test('huffmanText() refuses padding that is too long or not all ones, and the mark itself', () => {
  for (const bad of ['f1e3 c2e5 f23a 6ba0 ab90 f4ff ff', '00', 'ffff ffff', '84ff ffff fc'])
    assert.throws(() => huffmanText(hex(bad)), /padding|code/, bad);
  assert.equal(huffmanText(hex('')), '');
});

test('the decoder follows three requests of RFC 7541 (C.4) and three answers that push entries out (C.6)', () => {
  const requests = new HeaderDecoder();
  const first = [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'];
  assert.deepEqual(fieldsOf(requests, hex('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')), first);
  assert.equal(requests.tableBytes, 57);
  assert.deepEqual(fieldsOf(requests, hex('8286 84be 5886 a8eb 1064 9cbf')), [
    ...first,
    'cache-control: no-cache',
  ]);
  assert.equal(requests.tableBytes, 110);
  assert.deepEqual(fieldsOf(requests, hex('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')), [
    ':method: GET',
    ':scheme: https',
    ':path: /index.html',
    ':authority: www.example.com',
    'custom-key: custom-value',
  ]);
  assert.equal(requests.tableBytes, 164);
  const answers = new HeaderDecoder(256);
  assert.deepEqual(
    fieldsOf(
      answers,
      hex(
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ),
    ),
    [
      ':status: 302',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:21 GMT',
      'location: https://www.example.com',
    ],
  );
  assert.deepEqual(fieldsOf(answers, hex('4883 640e ffc1 c0bf')), [
    ':status: 307',
    'cache-control: private',
    'date: Mon, 21 Oct 2013 20:13:21 GMT',
    'location: https://www.example.com',
  ]);
  assert.equal(answers.tableBytes, 222);
  const third = fieldsOf(
    answers,
    hex(
      '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
    ),
  );
  assert.equal(third.at(-1), 'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1');
  assert.equal(answers.tableBytes, 215);
});

test('the table shrinks and grows as the client says, never beyond what was offered', () => {
  const decoder = new HeaderDecoder(100);
  fieldsOf(decoder, hex('4001 6101 62'));
  assert.equal(decoder.tableBytes, 34);
  assert.deepEqual(fieldsOf(decoder, hex('be')), ['a: b']);
  assert.deepEqual(fieldsOf(decoder, hex('20 3f 45')), []);
  assert.equal(decoder.tableBytes, 0);
  assert.throws(() => fieldsOf(decoder, hex('be')), /not there/);
  assert.throws(() => fieldsOf(decoder, hex('3f46')), /larger/);
  assert.throws(() => fieldsOf(decoder, hex('82 20')), /within/);
});

test('what headerBlock() makes the decoder reads back, and nothing enters its table', () => {
  const random = new SeededRandom(7);
  const decoder = new HeaderDecoder();
  for (let round = 0; round < 200; round++) {
    const fields = Array.from({ length: random.integer(8) }, (): [string, string] => [
      [':status', 'grpc-status', 'content-type', 'x-y'][random.integer(4)] as string,
      ['200', '0', 'application/grpc', 'é'.repeat(random.integer(400))][random.integer(4)] as string,
    ]);
    assert.deepEqual(
      fieldsOf(decoder, headerBlock(fields)),
      fields.map(([name, value]) => `${name}: ${value}`),
    );
  }
  assert.equal(decoder.tableBytes, 0);
});
