import type { ResourceStrategy } from '../strategy.ts';
import { csiDriverStrategy } from './csi-driver.ts';
import { csiNodeStrategy, csiStorageCapacityStrategy } from './csi-node.ts';
import { storageClassStrategy, volumeAttributesClassStrategy } from './storage-class.ts';
import { volumeAttachmentStrategy } from './volume-attachment.ts';

export const storageStrategies: readonly ResourceStrategy[] = [
  csiDriverStrategy,
  csiNodeStrategy,
  csiStorageCapacityStrategy,
  storageClassStrategy,
  volumeAttachmentStrategy,
  volumeAttributesClassStrategy,
];
