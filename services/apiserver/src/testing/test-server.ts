import { silentLogger } from '@pilothouse/base';
import { nodeClock, nodeRandom } from '@pilothouse/host';
import type { ApiServer, ApiServerOptions } from '../server.ts';
import { createApiServer } from '../server.ts';
import { fakeRegistry } from './fake-registry.ts';
import type { FakeConfigMaps } from './fake-registry.ts';

/** A server over a fake registry: everybody is an administrator unless the `user` header says who asks. */
export async function testServer(
  options: Partial<ApiServerOptions> = {},
): Promise<{ server: ApiServer; configMaps: FakeConfigMaps }> {
  const registry = fakeRegistry();
  const server = await createApiServer({
    registry,
    authenticator: {
      authenticate: ({ headers }) =>
        Promise.resolve({ user: { name: String(headers['user'] ?? 'admin'), groups: ['system:masters'] } }),
    },
    authorizer: {
      authorize: ({ user }) =>
        Promise.resolve({ decision: user.name === 'nobody' ? 'noOpinion' : 'allow', reason: '' }),
    },
    admission: { handles: () => false, admit: () => Promise.resolve(), validate: () => Promise.resolve() },
    clock: nodeClock,
    random: nodeRandom,
    logger: silentLogger,
    ...options,
  });
  return { server, configMaps: registry.configMaps };
}
