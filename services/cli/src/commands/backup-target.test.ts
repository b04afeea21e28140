import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import { backupName, openTarget, signedHeaders } from './backup-target.ts';

const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-target-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

test('names sort by time', () => {
  assert.equal(backupName(Date.UTC(2026, 10, 21, 15, 45, 9, 7)), 'pilothouse-20261121T154509Z.db');
});

test('a directory lists only backups, oldest first', async () => {
  const target = openTarget(path.join(scratch, 'kept'), {}, nodeClock);
  const file = path.join(scratch, 'a');
  writeFileSync(file, 'data');
  writeFileSync(path.join(scratch, 'kept', 'notes.txt'), '');
  await target.put(file, 'pilothouse-20260102T000000Z.db');
  await target.put(file, 'pilothouse-20260101T000000Z.db');
  assert.deepEqual(await target.list(), ['pilothouse-20260101T000000Z.db', 'pilothouse-20260102T000000Z.db']);
  assert.equal(readFileSync(path.join(scratch, 'kept', 'pilothouse-20260101T000000Z.db'), 'utf8'), 'data');
  await target.remove('pilothouse-20260101T000000Z.db');
  assert.deepEqual(await target.list(), ['pilothouse-20260102T000000Z.db']);
});

// The example of Amazon's documentation of Signature Version 4, "GET Bucket (List Objects)".
test('requests are signed as the published example is', () => {
  const headers = signedHeaders(
    {
      endpoint: new URL('https://examplebucket.s3.amazonaws.com'),
      bucket: 'examplebucket',
      region: 'us-east-1',
      accessKey: 'AKIAIOSFODNN7EXAMPLE',
      secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    },
    {
      method: 'GET',
      path: '/',
      query: new Map([
        ['max-keys', '2'],
        ['prefix', 'J'],
      ]),
      bodySha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    },
    Date.UTC(2013, 4, 24),
  );
  assert.match(
    headers['authorization'] ?? '',
    /Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7$/,
  );
});

test('an S3 store: put, list in pages, remove, and its refusal in its own words', async () => {
  const objects = new Map<string, string>();
  const server = http.createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://s3');
    const key = decodeURIComponent(url.pathname).replace(/^\/bucket\/?/, '');
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      if (!/^AWS4-HMAC-SHA256 Credential=id\//.test(request.headers.authorization ?? '')) {
        response.writeHead(403).end('<Error><Code>AccessDenied</Code><Message>No</Message></Error>');
      } else if (request.method === 'PUT') {
        objects.set(key, body);
        response.end();
      } else if (request.method === 'DELETE') {
        objects.delete(key);
        response.writeHead(204).end();
      } else {
        const names = [...objects.keys()].filter((each) =>
          each.startsWith(url.searchParams.get('prefix') ?? ''),
        );
        const from = Number(url.searchParams.get('continuation-token') ?? 0);
        const next =
          from + 1 < names.length ? `<NextContinuationToken>${from + 1}</NextContinuationToken>` : '';
        response.end(
          `<ListBucketResult><Contents><Key>${names[from] ?? ''}</Key></Contents>${next}</ListBucketResult>`,
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: 'id',
    AWS_SECRET_ACCESS_KEY: 'secret',
  };
  try {
    const target = openTarget('s3://bucket/deep/folder', environment, nodeClock);
    const file = path.join(scratch, 'b');
    writeFileSync(file, 'payload');
    for (const day of ['03', '01', '02']) await target.put(file, `pilothouse-202601${day}T000000Z.db`);
    assert.equal(objects.get('deep/folder/pilothouse-20260101T000000Z.db'), 'payload');
    assert.deepEqual(
      await target.list(),
      ['01', '02', '03'].map((day) => `pilothouse-202601${day}T000000Z.db`),
    );
    await target.remove('pilothouse-20260101T000000Z.db');
    assert.equal(objects.size, 2);
    const stranger = openTarget('s3://bucket', { ...environment, AWS_ACCESS_KEY_ID: 'other' }, nodeClock);
    await assert.rejects(stranger.list(), /AccessDenied No/);
    assert.throws(() => openTarget('s3://bucket', {}, nodeClock), /needs AWS_ACCESS_KEY_ID/);
    assert.throws(() => openTarget('s3://', environment, nodeClock), /Invalid target/);
  } finally {
    server.close();
  }
});
