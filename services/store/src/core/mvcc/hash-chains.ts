import type { KeyText } from '../key-text.ts';
import { NumberQueue } from './number-queue.ts';

/** Longer chains are not made: keys that somebody chose to have one hash must not slow the others down. */
const chainMax = 16;

/** A slot's hash and the next slot of its chain, which the owner of the slots keeps. */
export interface ChainLinks {
  hashOf(slot: number): number;
  nextOf(slot: number): number;
  setNext(slot: number, next: number): void;
}

/** Finds slots by hash. Grows by one chain at a time, so that no single insertion is dear (linear hashing). */
export class HashChains {
  readonly #links: ChainLinks;
  readonly #heads = new NumberQueue();
  #mask = 0;
  /** Chains with a number below this are split already for the next mask. */
  #split = 0;
  #count = 0;

  constructor(links: ChainLinks) {
    this.#links = links;
    this.#heads.push(0);
  }

  #chainOf(hash: number): number {
    const chain = (hash & (this.#mask * 2 + 1)) >>> 0;
    return chain < this.#heads.length ? chain : (hash & this.#mask) >>> 0;
  }

  /** The slot with this hash that `isWanted` says is the one; 0: none in the chains. */
  find(hash: number, isWanted: (slot: number) => boolean): number {
    const links = this.#links;
    let slot = this.#heads.at(this.#chainOf(hash));
    while (slot !== 0 && !(links.hashOf(slot) === hash && isWanted(slot))) slot = links.nextOf(slot);
    return slot;
  }

  /** False: the chain is full, and the slot is not in it. */
  add(hash: number, slot: number): boolean {
    const chain = this.#chainOf(hash);
    const head = this.#heads.at(chain);
    let length = 0;
    for (let other = head; other !== 0; other = this.#links.nextOf(other)) length++;
    if (length >= chainMax) return false;
    this.#links.setNext(slot, head);
    this.#heads.set(chain, slot);
    if (++this.#count > this.#heads.length) this.#grow();
    return true;
  }

  #grow(): void {
    const links = this.#links;
    const from = this.#split;
    const added = this.#heads.length;
    let [stays, goes] = [0, 0];
    const bit = this.#mask + 1;
    for (let slot = this.#heads.at(from), next = 0; slot !== 0; slot = next) {
      next = links.nextOf(slot);
      if ((links.hashOf(slot) & bit) === 0) {
        links.setNext(slot, stays);
        stays = slot;
      } else {
        links.setNext(slot, goes);
        goes = slot;
      }
    }
    this.#heads.set(from, stays);
    this.#heads.push(goes);
    if (added === this.#mask * 2 + 1) {
      this.#mask = added;
      this.#split = 0;
    } else this.#split++;
  }

  /** False: it was not in the chains. */
  remove(hash: number, slot: number): boolean {
    const links = this.#links;
    const chain = this.#chainOf(hash);
    let before = 0;
    let at = this.#heads.at(chain);
    while (at !== 0 && at !== slot) {
      before = at;
      at = links.nextOf(at);
    }
    if (at === 0) return false;
    const next = links.nextOf(slot);
    if (before === 0) this.#heads.set(chain, next);
    else links.setNext(before, next);
    this.#count--;
    return true;
  }
}

/** 32 bits. */
export function hashOf(key: KeyText): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
