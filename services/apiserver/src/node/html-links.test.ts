import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rewriteHtml, rewriteLink } from './html-links.ts';

const rewriting = {
  prefix: '/api/v1/namespaces/a/services/b/proxy',
  hosts: ['10.0.0.5:80', 'localhost:8001'],
};

test('links to the workload lead through the proxy, others stay', () => {
  const p = rewriting.prefix;
  for (const [link, wanted] of [
    ['/x/y?q=1#f', `${p}/x/y?q=1#f`],
    ['/', `${p}/`],
    ['x/y', 'x/y'],
    ['#top', '#top'],
    ['http://10.0.0.5:80/x', `${p}/x`],
    ['http://localhost:8001/x', `${p}/x`],
    ['http://localhost:8001', 'http://localhost:8001'],
    ['https://example.org/x', 'https://example.org/x'],
    ['//example.org/x', '//example.org/x'],
    [`${p}/x`, `${p}/x`],
    ['mailto:a@b', 'mailto:a@b'],
    ['javascript:void(0)', 'javascript:void(0)'],
  ] as const)
    assert.equal(rewriteLink(link, rewriting), wanted, link);
});

test('HTML keeps everything but its links', () => {
  const p = rewriting.prefix;
  assert.equal(
    rewriteHtml(
      `<!DOCTYPE html><head><link rel=stylesheet href=/s.css><script src='/a.js'>if (1<2) "<a href='/no'>"</script></head>
<body data-x="/x > y"><!-- <a href="/c"> --><a class="n" href="/p?a=1&amp;b=2">l</a><img src="i.png"><form action="/go"> 1 < 2`,
      rewriting,
    ),
    `<!DOCTYPE html><head><link rel=stylesheet href="${p}/s.css"><script src='${p}/a.js'>if (1<2) "<a href='/no'>"</script></head>
<body data-x="/x > y"><!-- <a href="/c"> --><a class="n" href="${p}/p?a=1&amp;b=2">l</a><img src="i.png"><form action="${p}/go"> 1 < 2`,
  );
});
