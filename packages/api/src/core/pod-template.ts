import { bumpGeneration, rootPath, startGeneration } from '../common.ts';
import { defaultPodTemplate } from '../defaults/pod-spec.ts';
import { ensure } from '../defaults/set.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { containersAndImages, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import { formatLabels } from '../validation/meta.ts';
import { validatePodTemplateSpec } from '../validation/pod-spec.ts';
import type { Json } from '../validation/values.ts';
import { templateWarnings } from './pod/warnings.ts';

const templatePath = rootPath.child('template');

export const podTemplateStrategy: ResourceStrategy = {
  group: '',
  version: 'v1',
  kind: 'PodTemplate',
  resource: 'podtemplates',
  defaults: (object) => {
    defaultPodTemplate(ensure(object, 'template'));
  },
  prepareForCreate: startGeneration,
  validate: (object) => validatePodTemplateSpec((object['template'] ?? {}) as Json, templatePath),
  warningsOnCreate: (object) => templateWarnings(object['template'], templatePath),
  prepareForUpdate(object, old) {
    bumpGeneration(object, old, 'template');
  },
  validateUpdate: (object) => validatePodTemplateSpec((object['template'] ?? {}) as Json, templatePath),
  warningsOnUpdate: (object, old) =>
    object.metadata.generation === old.metadata.generation
      ? []
      : templateWarnings(object['template'], templatePath),
  columns: columnsOf['/podtemplates'] ?? [],
  cells(object) {
    const [containers, images] = containersAndImages(object['template']?.spec);
    return [nameOf(object), containers, images, formatLabels(object['template']?.metadata?.labels)];
  },
};
