import { test } from 'node:test';
import assert from 'node:assert/strict';
import { decodeMessage, encodeMessage, etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { MemoryBackend } from '../memory-backend.ts';
import { AuthStore, type AuthInfo } from './auth-store.ts';
import { covers } from './range-cover.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const none = new Uint8Array(0);
const add = (name: string): etcdserverpb.AuthUserAddRequest => ({
  name,
  password: '',
  hashedPassword: 'hash',
  options: undefined,
});
const throws = (run: () => void, message: string): void =>
  assert.throws(run, { message: `etcdserver: ${message}` });
const txn = (request: MessageInput<etcdserverpb.TxnRequest>): etcdserverpb.TxnRequest =>
  decodeMessage(etcdserverpb.TxnRequest, encodeMessage(etcdserverpb.TxnRequest, request));

test('enabling needs a root user with the root role; both are then protected', () => {
  const auth = new AuthStore(new MemoryBackend());
  throws(() => auth.enable(), 'root user does not exist');
  auth.addUser(add('root'));
  throws(() => auth.enable(), 'root user does not have root role');
  auth.grantRole('root', 'root');
  auth.enable();
  throws(() => auth.deleteUser('root'), 'invalid auth management');
  throws(() => auth.revokeRole('root', 'root'), 'invalid auth management');
  throws(() => auth.checkAdmin(undefined), 'user name is empty');
  auth.checkAdmin({ username: 'root', revision: auth.revision });
});

test('permissions: ranges are merged, roles change the revision, state survives a restart', () => {
  const backend = new MemoryBackend();
  let auth = new AuthStore(backend);
  auth.addUser(add('root'));
  auth.grantRole('root', 'root');
  auth.addUser(add('größe'));
  throws(() => auth.grantRole('größe', 'writer'), 'role name not found');
  auth.addRole('writer');
  auth.grantRole('größe', 'writer');
  auth.grantPermission('writer', { permType: 2, key: bytes('a'), rangeEnd: bytes('c') });
  auth.grantPermission('writer', { permType: 0, key: bytes('c'), rangeEnd: bytes('e') });
  auth.enable();
  auth = new AuthStore(backend);
  auth.load();
  assert.equal(auth.isEnabled, true);
  const info: AuthInfo = { username: 'größe', revision: auth.revision };
  auth.checkRange(info, bytes('a'), bytes('e'), 'read');
  throws(() => auth.checkRange(info, bytes('a'), bytes('e'), 'write'), 'permission denied');
  auth.checkRange(info, bytes('b'), none, 'write');
  throws(() => auth.checkRange(info, bytes('e'), none, 'read'), 'permission denied');
  throws(() => auth.checkRange(info, bytes('a'), Uint8Array.of(0), 'read'), 'permission denied');
  const allowed = { requestPut: { key: bytes('a') } };
  auth.checkTxn(info, txn({ success: [allowed] }), () => []);
  throws(
    () =>
      auth.checkTxn(
        info,
        txn({ success: [allowed], failure: [{ requestPut: { key: bytes('d') } }] }),
        () => [],
      ),
    'permission denied',
  );
  auth.revokePermission({ role: 'writer', key: bytes('c'), rangeEnd: bytes('e') });
  throws(() => auth.checkRange(info, bytes('a'), none, 'read'), 'revision of auth store is old');
});

test('a token lives as long as it is used and dies with a password change', () => {
  const auth = new AuthStore(new MemoryBackend());
  auth.addUser(add('u'));
  auth.assignToken('t', 'u', 0);
  assert.equal(auth.userOfToken('t', 200, 300), 'u');
  assert.equal(auth.userOfToken('t', 450, 300), 'u');
  throws(() => auth.userOfToken('t', 751, 300), 'invalid auth token');
  auth.assignToken('t', 'u', 0);
  auth.changePassword('u', 'other');
  throws(() => auth.userOfToken('t', 1, 300), 'invalid auth token');
});

test('covers() joins touching ranges and leaves gaps', () => {
  const range = (
    from: string,
    to: string | null | undefined,
  ): { from: string; to: string | null | undefined } => ({ from, to });
  assert.equal(covers([range('a', 'c'), range('c', 'e')], range('b', 'd')), true);
  assert.equal(covers([range('a', 'c'), range('d', 'e')], range('b', 'e')), false);
  assert.equal(covers([range('a', null)], range('b', null)), true);
  assert.equal(covers([range('a', undefined)], range('a', undefined)), true);
  assert.equal(covers([range('a', undefined)], range('a', 'b')), false);
  assert.equal(covers([range('a', undefined), range('a\0', 'b')], range('a', 'b')), true);
});
