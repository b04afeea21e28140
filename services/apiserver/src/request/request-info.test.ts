import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLongRunning, requestInfoOf } from './request-info.ts';

const short = (method: string, target: string): string => {
  const url = new URL(target, 'http://server');
  const info = requestInfoOf(method, url.pathname, url.searchParams);
  if (!info.isResourceRequest) return `${info.verb} ${info.path}`;
  return [
    info.verb,
    info.apiGroup,
    info.apiVersion,
    info.namespace,
    info.resource,
    info.subresource,
    info.name,
  ]
    .map((part) => (part === '' ? '-' : part))
    .join(' ');
};

test('requestInfoOf reads paths as the upstream resolver does', () => {
  const cases: [string, string, string][] = [
    ['GET', '/', 'get /'],
    ['GET', '/api', 'get /api'],
    ['GET', '/api/v1', 'get /api/v1'],
    ['POST', '/apis/apps/v1', 'post /apis/apps/v1'],
    ['GET', '/api/v1/pods', 'list - v1 - pods - -'],
    ['HEAD', '/api/v1/pods', 'list - v1 - pods - -'],
    ['GET', '/api/v1/pods?watch=true', 'watch - v1 - pods - -'],
    ['GET', '/api/v1/pods?watch=false', 'list - v1 - pods - -'],
    ['GET', '/api/v1/watch/namespaces/a/pods', 'watch - v1 a pods - -'],
    ['GET', '/api/v1/namespaces', 'list - v1 - namespaces - -'],
    ['GET', '/api/v1/namespaces/a', 'get - v1 a namespaces - a'],
    ['PUT', '/api/v1/namespaces/a/finalize', 'update - v1 a namespaces finalize a'],
    ['PATCH', '/api/v1/namespaces/a/status', 'patch - v1 a namespaces status a'],
    ['GET', '/api/v1/namespaces/a/pods/p/log', 'get - v1 a pods log p'],
    ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection - v1 a pods - -'],
    ['DELETE', '/api/v1/namespaces/a/pods/p', 'delete - v1 a pods - p'],
    ['POST', '/apis/apps/v1/namespaces/a/deployments', 'create apps v1 a deployments - -'],
    ['GET', '/apis/apps/v1/deployments?fieldSelector=metadata.name%3Dx', 'list apps v1 - deployments - x'],
    ['OPTIONS', '/api/v1/nodes/n', '- - v1 - nodes - n'],
  ];
  for (const [method, target, want] of cases)
    assert.equal(short(method, target), want, `${method} ${target}`);
});

test('isLongRunning knows watches and streams', () => {
  const of = (target: string): boolean => {
    const url = new URL(target, 'http://server');
    return isLongRunning(requestInfoOf('GET', url.pathname, url.searchParams));
  };
  assert.equal(of('/api/v1/pods?watch=1'), true);
  assert.equal(of('/api/v1/namespaces/a/pods/p/exec'), true);
  assert.equal(of('/api/v1/pods'), false);
});
