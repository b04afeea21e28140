/** 32 bits of a text, different for each seed (FNV-1a with a final mix). */
function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ Math.imul(seed + 1, 0x9e3779b1)) >>> 0;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

/**
 * `size` different numbers below `deck` that belong to a flow: the same flow always gets the same hand, and two flows rarely get the same
 * one. So a flow that fills all its queues leaves most others at least one that is free.
 */
export function dealHand(flow: string, deck: number, size: number): number[] {
  const hand: number[] = [];
  const taken: number[] = [];
  for (let turn = 0; turn < Math.min(size, deck); turn++) {
    let card = hash(flow, turn) % (deck - turn);
    // The card counts among those that are left: step over the taken ones, in ascending order.
    let at = 0;
    while (at < taken.length && (taken[at] as number) <= card) {
      card++;
      at++;
    }
    taken.splice(at, 0, card);
    hand.push(card);
  }
  return hand;
}
