import { errorMessage } from '@pilothouse/base';
import { etcdserverpb } from '@pilothouse/proto';
import type { StoreService } from './rpc/store-service.ts';

/** Below this share of the quota the store counts as having room again. */
const roomShare = 0.9;

/**
 * Takes the NOSPACE alarm back once deletes and compactions have made room, so that nobody has to. An alarm that somebody raised by hand
 * in a store with room stays.
 */
export class QuotaWatch {
  readonly #service: StoreService;
  /** Bytes in use when the store was seen to be full. */
  #fullAt: number | undefined;
  #isDisarming = false;

  constructor(service: StoreService) {
    this.#service = service;
  }

  /** To be called now and then. */
  check(): void {
    const { machine, options } = this.#service;
    const { NOSPACE } = etcdserverpb.AlarmType;
    if (options.quotaBytes <= 0 || !machine.hasAlarm(NOSPACE)) {
      this.#fullAt = undefined;
      return;
    }
    const { liveBytes } = machine.store;
    const refusedAt = this.#service.takeRefusedAt();
    const room = options.quotaBytes * roomShare;
    if (refusedAt !== undefined || liveBytes >= room)
      this.#fullAt = Math.max(this.#fullAt ?? 0, refusedAt ?? 0, liveBytes);
    if (this.#fullAt === undefined || liveBytes >= room || liveBytes >= this.#fullAt || this.#isDisarming)
      return;
    this.#isDisarming = true;
    options.logger.info('there is room below the quota again; taking back the NOSPACE alarm', {
      'used-bytes': liveBytes,
      'quota-size-bytes': options.quotaBytes,
    });
    const alarms = machine.alarms.filter(({ type }) => type === NOSPACE);
    Promise.all(
      alarms.map(({ memberId }) =>
        this.#service.propose({ alarm: { action: 2, memberID: memberId, alarm: NOSPACE } }),
      ),
    )
      .catch((error: unknown) => {
        options.logger.debug('failed to take back the alarm; will retry', { error: errorMessage(error) });
      })
      .finally(() => (this.#isDisarming = false));
  }
}
