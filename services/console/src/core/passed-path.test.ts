import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusedPath, safeMediaType } from './passed-path.ts';

test('requests to the API are passed on', () => {
  for (const path of [
    '/api',
    '/apis/apps/v1/namespaces/a/deployments?limit=5',
    '/readyz?verbose',
    '/api/v1/namespaces/a/pods/proxy',
    '/api/v1/namespaces/a/pods/x/log?follow=true',
  ])
    assert.equal(refusedPath(path), undefined, path);
});

test('everything else is not', () => {
  for (const path of [
    '/metrics',
    '/apix',
    '/debug/pprof/',
    '/api/v1/namespaces/a/services/x/proxy/',
    '/api/v1/namespaces/a/services/x/pr%6fxy/',
    '/api/v1/nodes/n/proxy?path=/',
    '/api/v1/namespaces/a/pods/x/exec?command=sh',
    '/api/../metrics',
    '/api/%2e%2e/metrics',
    '/api/%',
  ])
    assert.notEqual(refusedPath(path), undefined, path);
});

test('answers that a browser would run become text', () => {
  assert.equal(safeMediaType('application/json'), 'application/json');
  assert.equal(safeMediaType('application/json;as=Table;v=v1'), 'application/json;as=Table;v=v1');
  for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', undefined, ''])
    assert.equal(safeMediaType(type), 'text/plain; charset=utf-8');
});
