import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath, isQualifiedName, isValidLabelValue, statusErrors } from '@pilothouse/apimachinery';
import { podSpec } from '@pilothouse/api/quota';
import { StatusError } from '@pilothouse/apimachinery';
import type { AdmissionDependencies } from '../config.ts';
import type { AdmissionAttributes, AdmissionPlugin } from '../interface.ts';
import { isResource } from '../refusal.ts';
import { findNamespace } from './namespace-lifecycle.ts';

const annotation = 'scheduler.alpha.kubernetes.io/node-selector';
type Labels = Readonly<Record<string, string>>;

/**
 * Pods run where their namespace may: its selector (an annotation, else the cluster's default) is added, and the configured list of the
 * namespace bounds what a pod may ask for.
 */
export function podNodeSelector({ objects, configs }: AdmissionDependencies): AdmissionPlugin {
  const selectors = configs?.nodeSelectors ?? {};
  const ofNamespace = async (namespace: string): Promise<Labels> => {
    const own = (await findNamespace(objects, namespace)).metadata.annotations?.[annotation];
    return labelsOf(own ?? selectors['clusterDefaultNodeSelector'] ?? '');
  };
  const refuse = (attributes: AdmissionAttributes, why: string): StatusError =>
    statusErrors.forbidden(attributes.resource, attributes.object?.metadata.name ?? '', why);
  const check = async (attributes: AdmissionAttributes, admitting: boolean): Promise<void> => {
    const { object, namespace } = attributes;
    if (!isResource(attributes, '', 'pods') || object === undefined) return;
    const wanted = await ofNamespace(namespace);
    const spec = podSpec(object);
    const own = spec.nodeSelector ?? {};
    if (Object.entries(wanted).some(([key, value]) => own[key] !== undefined && own[key] !== value))
      throw refuse(attributes, 'pod node label selector conflicts with its namespace node label selector');
    const merged = { ...wanted, ...own };
    if (admitting && Object.keys(merged).length > 0) spec.nodeSelector = merged;
    const allowed = labelsOf(selectors[namespace] ?? '');
    if (Object.keys(allowed).length === 0) return;
    if (Object.entries(spec.nodeSelector ?? {}).some(([key, value]) => allowed[key] !== value))
      throw refuse(attributes, 'pod node label selector labels conflict with its namespace whitelist');
  };
  return {
    name: 'PodNodeSelector',
    handles: (operation) => operation === 'CREATE',
    admit: (attributes) => check(attributes, true),
    validate: (attributes) => check(attributes, false),
  };
}

/** `a=b,c=d`. Throws StatusError 500 in upstream's words: nobody but an administrator can mend it. */
function labelsOf(selector: string): Labels {
  const labels: Record<string, string> = {};
  if (selector === '') return labels;
  const problem = (text: string): StatusError => new StatusError(500, '', text);
  for (const each of selector.split(',')) {
    const parts = each.split('=');
    if (parts.length !== 2) throw problem(`invalid selector: [${parts.join(' ')}]`);
    const [key = '', value = ''] = parts.map((part) => part.trim());
    const wrong: string[] = [...isQualifiedName(key), ...isValidLabelValue(value)];
    if (wrong.length > 0) {
      const shown = isQualifiedName(key).length > 0 ? key : value;
      const finding: FieldError = {
        type: 'FieldValueInvalid',
        field: new FieldPath().toString(),
        message: `Invalid value: ${JSON.stringify(shown)}: ${wrong.join('; ')}`,
      };
      throw problem(`${finding.field}: ${finding.message}`);
    }
    labels[key] = value;
  }
  return labels;
}
