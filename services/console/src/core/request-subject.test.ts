import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followsChanges, requestMethod, requestSubject } from './request-subject.ts';

test('whatever is asked for, a request has one of few subjects', () => {
  const subject = (target: string): string =>
    requestSubject(target, (path) => path === '/' || path === '/app.js');
  for (const [target, wanted] of [
    ['/', 'page'],
    ['/app.js?v=1', 'page'],
    ['/session', 'session'],
    ['/k8s/api/v1/pods', 'api'],
    ['/store/history?name=a', 'store'],
    ['/drills/file?name=a', 'drills'],
    ['/readyz', 'health'],
    ['/readyz/x', 'other'],
    ['/wp-login.php', 'other'],
  ] as const)
    assert.equal(subject(target), wanted, target);
  assert.equal(requestMethod('PATCH'), 'PATCH');
  assert.equal(requestMethod('BREW'), 'OTHER');
});

test('watches and followed logs go on, lists do not', () => {
  for (const [target, wanted] of [
    ['/k8s/api/v1/pods?watch=true', true],
    ['/k8s/api/v1/pods?watch=1&resourceVersion=7', true],
    ['/k8s/api/v1/namespaces/a/pods/b/log?follow=true', true],
    ['/k8s/apis/apps/v1/watch/deployments', true],
    ['/k8s/api/v1/pods?watch=false', false],
    ['/k8s/api/v1/pods', false],
    ['/k8s/api/v1/namespaces/watch/pods', false],
  ] as const)
    assert.equal(followsChanges(target), wanted, target);
});
