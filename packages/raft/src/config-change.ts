import { CodedError, assert } from '@pilothouse/base';
import type { ConfigChange, ConfigState, MemberId } from './types.ts';

/** A configuration change that cannot be applied to the present configuration. */
export class ConfigChangeError extends CodedError {
  constructor(message: string) {
    super('invalidConfigChange', message);
  }
}

export function isJoint(config: ConfigState): boolean {
  return config.outgoing.length > 0;
}

export function isLeave(change: ConfigChange): boolean {
  return change.changes.length === 0;
}

const sorted = (ids: Iterable<MemberId>): MemberId[] =>
  [...new Set(ids)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));

/**
 * The configuration after `change`. Pure, so that every member computes the same one.
 * Throws {@link ConfigChangeError} when the change does not fit: the proposer is told before anything is appended.
 */
export function changeConfig(config: ConfigState, change: ConfigChange): ConfigState {
  if (isLeave(change)) {
    if (!isJoint(config))
      throw new ConfigChangeError('Cannot leave a joint configuration: the configuration is not joint');
    const voters = sorted(config.voters);
    return {
      voters,
      outgoing: [],
      learners: sorted([...config.learners, ...config.learnersNext]).filter((id) => !voters.includes(id)),
      learnersNext: [],
      autoLeave: false,
    };
  }
  if (isJoint(config)) throw new ConfigChangeError('Cannot change a joint configuration: leave it first');
  const voters = new Set(config.voters);
  const learners = new Set(config.learners);
  const learnersNext = new Set<MemberId>();
  for (const { kind, id } of change.changes) {
    switch (kind) {
      case 'addVoter':
        learners.delete(id);
        learnersNext.delete(id);
        voters.add(id);
        break;
      case 'addLearner':
        if (learners.has(id)) break;
        if (voters.delete(id) && config.voters.includes(id)) learnersNext.add(id);
        else learners.add(id);
        break;
      case 'remove':
        voters.delete(id);
        learners.delete(id);
        learnersNext.delete(id);
        break;
    }
  }
  if (voters.size === 0) throw new ConfigChangeError('Cannot remove every voter');
  const moved =
    [...voters].filter((id) => !config.voters.includes(id)).length +
    config.voters.filter((id) => !voters.has(id)).length;
  if (change.transition === 'auto' && moved <= 1) {
    for (const id of learnersNext) learners.add(id);
    return {
      voters: sorted(voters),
      outgoing: [],
      learners: sorted(learners),
      learnersNext: [],
      autoLeave: false,
    };
  }
  assert(config.voters.length > 0, 'A joint configuration needs an outgoing half');
  return {
    voters: sorted(voters),
    outgoing: sorted(config.voters),
    learners: sorted(learners),
    learnersNext: sorted(learnersNext),
    autoLeave: true,
  };
}

/** Whether `id` takes part at all. */
export function isMember(config: ConfigState, id: MemberId): boolean {
  return (
    config.voters.includes(id) ||
    config.outgoing.includes(id) ||
    config.learners.includes(id) ||
    config.learnersNext.includes(id)
  );
}

/** Whether `id` votes in either half. */
export function isVoter(config: ConfigState, id: MemberId): boolean {
  return config.voters.includes(id) || config.outgoing.includes(id);
}
