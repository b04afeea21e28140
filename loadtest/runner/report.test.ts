import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { makeReport, renderHtml } from './report.ts';
import { readSamples } from './samples.ts';

const run = {
  scenario: 'crud-mix',
  server: 'https://api:6443',
  serverVersion: 'v1.36.3',
  startedAt: '2026-01-01T00:00:00.000Z',
  durationSeconds: 30,
  scale: 1,
  command: 'npm run load -- crud-mix --kubeconfig <file>',
};
const requests = {
  http_reqs: { values: { count: 100, rate: 10 } },
  http_req_failed: { values: { rate: 0.02 } },
};
const limit = (ok: boolean, count: number) => ({
  values: { 'p(99)': 12, count },
  thresholds: { 'p(99)<1000': { ok } },
});

test('a run passes when all its limits are kept, and measured', () => {
  const verdictOf = (ok: boolean, count: number): string =>
    makeReport(run, { metrics: { ...requests, http_req_duration: limit(ok, count) } }, []).verdict;
  assert.equal(verdictOf(true, 100), 'pass');
  assert.equal(verdictOf(false, 100), 'fail');
  assert.equal(verdictOf(true, 0), 'fail', 'A limit without a sample proves nothing');
  assert.equal(makeReport(run, { metrics: requests }, []).verdict, 'fail', 'nor does a run without limits');
  assert.equal(makeReport(run, { metrics: requests }, []).requests.failed, 2);
});

test('samples become quantiles by second, without preparations, and a page without foreign parts', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'load-report-'));
  try {
    const file = path.join(directory, 'samples.csv');
    writeFileSync(
      file,
      [
        'metric_name,timestamp,metric_value,check,error,error_code,expected_response,group,method,name',
        'http_req_duration,100,5,,,,true,,GET,setup',
        'http_req_duration,101,10,,,,true,,GET,GET pods',
        'http_req_duration,101,30,,,,false,,GET,GET pods',
        'http_req_waiting,101,9,,,,true,,GET,GET pods',
        'http_req_duration,103,20,,,,true,,GET,GET pods',
        'pod_start,102,700,,,,,,,',
      ].join('\n'),
    );
    const series = await readSamples(file);
    assert.deepEqual(series, [
      {
        name: 'GET pods',
        slices: [
          { second: 0, count: 2, failed: 1, p50: 10, p99: 30, max: 30 },
          { second: 2, count: 1, failed: 0, p50: 20, p99: 20, max: 20 },
        ],
      },
      { name: 'pod_start', slices: [{ second: 1, count: 1, failed: 0, p50: 700, p99: 700, max: 700 }] },
    ]);
    const html = renderHtml(makeReport(run, { metrics: { ...requests, a: limit(true, 1) } }, series));
    assert.match(html, /<polyline points="/);
    assert.match(html, /--kubeconfig &lt;file&gt;/);
    assert.doesNotMatch(html, /<script|https?:\/\/(?!api:)|NaN/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
