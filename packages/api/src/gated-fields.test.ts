import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KubeObject } from '@pilothouse/apimachinery';
import { strategyFor } from './index.ts';
import type { StrategyContext } from './strategy.ts';

const context = (on: boolean): StrategyContext =>
  ({ featureEnabled: () => on, user: { name: 'u', groups: [] }, now: '' }) as unknown as StrategyContext;
const pod = (lifecycle?: object): KubeObject =>
  ({
    metadata: {},
    spec: { schedulingGroup: {}, containers: [{ name: 'c', ...(lifecycle && { lifecycle }) }] },
  }) as unknown as KubeObject;

it('members of features that are off are dropped, unless they are stored already', () => {
  const strategy = strategyFor('', 'pods', 'v1', 'Pod');
  const created = pod({ stopSignal: 'SIGUSR1', preStop: {} });
  strategy.prepareForCreate?.(created, context(false));
  assert.equal('schedulingGroup' in created['spec'], false);
  assert.deepEqual(created['spec'].containers[0].lifecycle, { preStop: {} });

  const changed = pod({ stopSignal: 'SIGUSR2' });
  strategy.prepareForUpdate?.(changed, pod({ stopSignal: 'SIGUSR1' }), context(false));
  assert.equal(changed['spec'].containers[0].lifecycle.stopSignal, 'SIGUSR2');

  const kept = pod({ stopSignal: 'SIGUSR1' });
  strategy.prepareForCreate?.(kept, context(true));
  assert.deepEqual(kept['spec'].schedulingGroup, {});
});
