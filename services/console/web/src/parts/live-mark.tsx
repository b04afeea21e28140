import type { LiveState } from '../model/live.ts';

const words: Record<LiveState, string> = {
  loading: 'Loading',
  live: 'Live',
  paused: 'Paused',
  broken: 'Not live',
};

/** Whether what is shown follows the cluster. */
export function LiveMark({
  state,
  problem,
}: {
  readonly state: LiveState;
  readonly problem?: string | undefined;
}) {
  return (
    <span class={`live ${state}`} title={problem ?? ''}>
      <span aria-hidden="true" class="dot" />
      {words[state]}
    </span>
  );
}
