import { buildProfile } from './build-profile.ts';
import { defaultPluginOptions } from './plugin-catalog.ts';
import type { Profile } from './profile.ts';

/** Upstream's default profile, for pods that name `schedulerName`. */
export function defaultProfile(schedulerName = 'default-scheduler'): Profile {
  return buildProfile({
    schedulerName,
    percentageOfNodesToScore: 0,
    plugins: {},
    options: defaultPluginOptions,
  });
}
