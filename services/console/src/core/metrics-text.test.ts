import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketsOf, parseMetrics, quantileOf, valueOf } from './metrics-text.ts';

const text = `# HELP a help
# TYPE a gauge
a 3
b{x="1"} 2e3
b{x="a\\"b",y=""} NaN
t_bucket{le="0.01"} 50
t_bucket{le="0.1"} 100
t_bucket{le="+Inf"} 100
not a metric {
`;

test('wanted samples are read, everything else is passed over', () => {
  const samples = parseMetrics(text, new Set(['a', 'b', 't_bucket']));
  assert.equal(valueOf(samples, 'a'), 3);
  assert.equal(valueOf(samples, 'c'), undefined);
  assert.deepEqual(samples[2]?.labels, { x: 'a"b', y: '' });
  assert.deepEqual(parseMetrics(text, new Set()), []);
});

test('quantiles are those of histogram_quantile', () => {
  const buckets = bucketsOf(parseMetrics(text, new Set(['t_bucket'])), 't');
  assert.deepEqual(buckets, [
    [0.01, 50],
    [0.1, 100],
    [Infinity, 100],
  ]);
  assert.equal(quantileOf(buckets, 0.5), 0.01);
  assert.ok(Math.abs((quantileOf(buckets, 0.99) ?? 0) - 0.0982) < 1e-9);
  assert.equal(quantileOf([[Infinity, 4]], 0.99), 0);
  assert.equal(quantileOf([], 0.99), undefined);
});
