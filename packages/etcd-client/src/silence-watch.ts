import type { Clock, Timer } from '@pilothouse/base';
import { limits } from './limits.ts';

/** What a {@link SilenceWatch} sees of a connection. */
export interface Audible {
  /** Pieces of bytes that came in so far. */
  readonly received: number;
  /** Frames of answers that came in so far; a server forgives pings that follow one. */
  readonly answers: number;
  /** Streams under way, the endless ones of watches included. */
  readonly streams: number;
  /** Calls under way that should be answered soon. */
  readonly calls: number;
  /** Sends a ping, which every living server answers. */
  ping(): void;
  /** Makes a call that every living server answers, if only with an error. */
  ask(): void;
  /** The server owes a sign of life for some time. May come again and again. */
  onQuiet(): void;
  /** It owes it for so long that it has to be left if another one is there. May come again and again. */
  onSilent(): void;
}

/**
 * Finds out that a server stands still while its connection does not break: stopped, frozen with its machine, or cut off without a word.
 * Who only takes long to answer a call still answers pings.
 *
 * Pings are few, because a stock server ends connections of those who ping more than three times without an answer in between, each within five
 * seconds of the one before. Time is counted in turns of this process, so that its own stops do not count as the server's.
 */
export class SilenceWatch {
  readonly #clock: Clock;
  readonly #peer: Audible;
  readonly #timer: Timer;
  #received = -1;
  #answersAtPing = -1;
  #pingedAt = -Infinity;
  #quietTurns = 0;
  /** Turns since a ping that is not answered; undefined: there is none. */
  #owedTurns: number | undefined;

  constructor(clock: Clock, peer: Audible) {
    this.#clock = clock;
    this.#peer = peer;
    this.#timer = clock.setInterval(() => this.#turn(), limits.silenceTurnMs);
  }

  stop(): void {
    this.#timer.cancel();
  }

  #turn(): void {
    const peer = this.#peer;
    if (peer.received !== this.#received || peer.streams === 0) {
      this.#received = peer.received;
      this.#quietTurns = 0;
      this.#owedTurns = undefined;
      return;
    }
    this.#quietTurns++;
    if (this.#owedTurns === undefined) this.#demand();
    else {
      this.#owedTurns++;
      if (this.#owedTurns >= limits.silenceTurnsToQuiet) peer.onQuiet();
      if (this.#owedTurns >= limits.silenceTurnsToSilent) peer.onSilent();
    }
  }

  /** Asks for a sign of life. */
  #demand(): void {
    const peer = this.#peer;
    if (peer.calls === 0) {
      if (this.#quietTurns * limits.silenceTurnMs >= limits.idleAskMs) peer.ask();
      return;
    }
    const now = this.#clock.monotonic();
    if (peer.answers === this.#answersAtPing && now - this.#pingedAt < limits.pingSpacingMs) return;
    this.#answersAtPing = peer.answers;
    this.#pingedAt = now;
    this.#owedTurns = 0;
    peer.ping();
  }
}
