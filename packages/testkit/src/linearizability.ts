/** One call of a client, in virtual or real time. */
export interface Operation<Input, Output> {
  readonly client: number;
  readonly call: number;
  /** Infinity when the outcome is not known: it may take effect at any later time, or never. */
  readonly end: number;
  readonly input: Input;
  /** Undefined when the outcome is not known. */
  readonly output: Output | undefined;
}

/** A sequential specification. States are values: `key` tells equal ones. */
export interface Model<State, Input, Output> {
  readonly initial: State;
  /** Every state that may follow; empty when `output` is impossible. With `output` undefined: all outcomes, "nothing" too. */
  step(state: State, input: Input, output: Output | undefined): readonly State[];
  key(state: State): string;
}

export type LinearizabilityResult<Input, Output> =
  | { readonly isLinearizable: true }
  | {
      readonly isLinearizable: false;
      /** The longest explainable prefix, in order, and the operations that cannot follow it. */
      readonly prefix: readonly Operation<Input, Output>[];
      readonly stuck: readonly Operation<Input, Output>[];
    }
  /** The search was given up. */
  | { readonly isLinearizable: undefined; readonly steps: number };

interface Event {
  readonly isCall: boolean;
  readonly operation: number;
  next: Event | undefined;
  previous: Event | undefined;
  match: Event | undefined;
}

/**
 * Whether some order of `history` that respects real time is one the model allows (Wing and Gong's search with Lowe's
 * memoization). Histories over independent keys should be checked key by key: the cost is exponential in concurrency only.
 */
export function checkLinearizability<State, Input, Output>(
  history: readonly Operation<Input, Output>[],
  model: Model<State, Input, Output>,
  stepsMax = 2_000_000,
): LinearizabilityResult<Input, Output> {
  const times: { time: number; isCall: boolean; operation: number }[] = [];
  for (const [operation, { call, end }] of history.entries()) {
    times.push({ time: call, isCall: true, operation }, { time: end, isCall: false, operation });
  }
  // At one instant calls come before returns: such operations overlap.
  times.sort((a, b) => (a.time === b.time ? Number(b.isCall) - Number(a.isCall) : a.time - b.time));
  const head: Event = {
    isCall: false,
    operation: -1,
    next: undefined,
    previous: undefined,
    match: undefined,
  };
  let tail = head;
  const calls = new Map<number, Event>();
  for (const { isCall, operation } of times) {
    const event: Event = { isCall, operation, next: undefined, previous: tail, match: undefined };
    tail.next = event;
    tail = event;
    if (isCall) calls.set(operation, event);
    else (calls.get(operation) as Event).match = event;
  }
  const lift = (event: Event): void => {
    for (const part of [event, event.match as Event]) {
      (part.previous as Event).next = part.next;
      if (part.next) part.next.previous = part.previous;
    }
  };
  const unlift = (event: Event): void => {
    for (const part of [event.match as Event, event]) {
      (part.previous as Event).next = part;
      if (part.next) part.next.previous = part;
    }
  };
  const words = new Uint32Array((history.length >> 5) + 1);
  const seen = new Set<string>();
  const stack: { event: Event; states: Map<string, State> }[] = [];
  let states = new Map([[model.key(model.initial), model.initial]]);
  let at = head.next;
  let best: Operation<Input, Output>[] = [];
  let stuck: Operation<Input, Output>[] = [];
  let steps = 0;
  while (head.next) {
    if (at?.isCall) {
      if (++steps > stepsMax) return { isLinearizable: undefined, steps };
      const { input, output } = history[at.operation] as Operation<Input, Output>;
      const following = new Map<string, State>();
      for (const state of states.values()) {
        for (const next of model.step(state, input, output)) following.set(model.key(next), next);
      }
      let isTaken = false;
      if (following.size > 0) {
        const word = at.operation >> 5;
        words[word] = (words[word] as number) | (1 << (at.operation & 31));
        const memo = `${words.join()}|${[...following.keys()].sort().join(';')}`;
        if (!seen.has(memo)) {
          seen.add(memo);
          stack.push({ event: at, states });
          states = following;
          lift(at);
          at = head.next;
          isTaken = true;
        } else words[word] = (words[word] as number) & ~(1 << (at.operation & 31));
      }
      if (!isTaken) at = at.next;
      continue;
    }
    // A return whose call is not placed yet: the last choice was wrong. Operations without an end need not be placed.
    const operation = at && (history[at.operation] as Operation<Input, Output>);
    if (!at || operation?.end === Infinity) {
      return { isLinearizable: true };
    }
    if (stack.length >= best.length) {
      best = stack.map(({ event }) => history[event.operation] as Operation<Input, Output>);
      stuck = [operation as Operation<Input, Output>];
    }
    const last = stack.pop();
    if (!last) return { isLinearizable: false, prefix: best, stuck };
    states = last.states;
    const word = last.event.operation >> 5;
    words[word] = (words[word] as number) & ~(1 << (last.event.operation & 31));
    unlift(last.event);
    at = last.event.next;
  }
  return { isLinearizable: true };
}
