import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConsoleError } from '../errors.ts';
import { kubeconfigCredentials, tokenCredentials } from './credentials.ts';

const refused = (work: () => unknown, pattern: RegExp): void => {
  assert.throws(
    work,
    (error) => error instanceof ConsoleError && error.status === 400 && pattern.test(error.message),
  );
};
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const kubeconfig = (user: string): string => `
apiVersion: v1
kind: Config
current-context: mine
contexts: [{name: mine, context: {cluster: far, user: me}}]
clusters: [{name: far, cluster: {server: 'https://elsewhere.example'}}]
users:
- name: me
  user: ${user}
`;

test('tokens are taken as they are, with or without the scheme', () => {
  assert.deepEqual(tokenCredentials(' Bearer abc.d-e_f== \n'), { token: 'abc.d-e_f==' });
  for (const bad of ['', undefined, 7, 'a b', 'a\r\nX-Remote-User: root', 'ä'])
    refused(() => tokenCredentials(bad), /token/);
});

test('a kubeconfig gives its current user: token or certificate', () => {
  assert.deepEqual(kubeconfigCredentials(kubeconfig('{token: abc}')), { token: 'abc' });
  assert.deepEqual(
    kubeconfigCredentials(
      kubeconfig(`{client-certificate-data: ${base64('CERT')}, client-key-data: ${base64('KEY')}}`),
    ),
    { cert: 'CERT', key: 'KEY' },
  );
});

test('nothing outside the text is read or run', () => {
  refused(() => kubeconfigCredentials(kubeconfig('{tokenFile: /etc/passwd}')), /tokenFile/);
  refused(() => kubeconfigCredentials(kubeconfig('{client-certificate: a, client-key: b}')), /flatten/);
  refused(() => kubeconfigCredentials(kubeconfig('{exec: {command: sh}}')), /exec/);
});

test('what is no kubeconfig is refused with the reason', () => {
  refused(() => kubeconfigCredentials('{'), /Cannot read/);
  refused(() => kubeconfigCredentials('text'), /not a kubeconfig/);
  refused(() => kubeconfigCredentials('current-context: gone'), /no context "gone"/);
  refused(() => kubeconfigCredentials(kubeconfig('{}')), /neither/);
  const bomb = `a: &a [x,x]\nb: &b [*a,*a,*a]\ncurrent-context: *b`;
  refused(() => kubeconfigCredentials(bomb), /Cannot read/);
});
