import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderDecoder } from '@pilothouse/http2';
import { answerHead, type HeaderValue } from './answer-head.ts';

const now = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

function fields(status: number, headers: Record<string, HeaderValue>, nowMs?: number): [string, string][] {
  const found: [string, string][] = [];
  new HeaderDecoder().decode(Buffer.from(answerHead(status, headers, nowMs)), ({ name, value }) => {
    found.push([name, value]);
  });
  return found;
}

test('a head is what was given, twice the same from what was kept', () => {
  const headers = { 'content-type': 'application/json', 'content-length': 17, vary: ['Accept', 'Origin'] };
  const expected = [
    [':status', '200'],
    ['content-type', 'application/json'],
    ['content-length', '17'],
    ['vary', 'Accept'],
    ['vary', 'Origin'],
    ['date', 'Fri, 02 Jan 2026 03:04:05 GMT'],
  ];
  for (let round = 0; round < 2; round++) assert.deepEqual(fields(200, headers, now), expected);
  assert.deepEqual(fields(404, { date: 'own' }, now), [
    [':status', '404'],
    ['date', 'own'],
  ]);
});

test('headers of HTTP/1 connections are left out', () => {
  const headers = { connection: 'close', 'transfer-encoding': 'chunked', 'keep-alive': '1', upgrade: 'x' };
  assert.deepEqual(fields(200, headers), [[':status', '200']]);
});

test('values of any length, many values of one name, heads larger than what is put together at once', () => {
  for (const length of [0, 1, 126, 127, 128, 5000, 20_000]) {
    const headers = { 'x-first': 'a', 'x-long': 'v'.repeat(length), 'x-last': 'b' };
    assert.deepEqual(fields(200, headers, now).slice(1, 4), Object.entries(headers));
  }
  for (let count = 0; count < 200; count++)
    assert.deepEqual(fields(200, { 'x-count': String(count) })[1], ['x-count', String(count)]);
  const many = Object.fromEntries(Array.from({ length: 400 }, (_, at) => [`x-${at}`, 'w'.repeat(60)]));
  assert.deepEqual(fields(200, many).slice(1), Object.entries(many));
  assert.deepEqual(fields(200, { 'x-latin': 'caf\u00e9' })[1], ['x-latin', 'caf\u00e9']);
});

test('names and values that no header may have', () => {
  for (const value of ['a\r\nb', 'a\nb', 'a\0b', 'a\u2028b', 'v'.repeat(20_000) + '\r'])
    assert.throws(
      () => answerHead(200, { 'x-a': value }, undefined),
      TypeError,
      JSON.stringify(value.slice(0, 9)),
    );
  for (const name of ['', 'Upper', 'a b', 'a:b', 'a\r', ':path'])
    assert.throws(() => answerHead(200, { [name]: 'v' }, undefined), TypeError, JSON.stringify(name));
});
