import type { FieldError, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { statusPath } from '../../common.ts';
import { isDns1123Subdomain } from '../../validation/names.ts';
import { parseIp, validateIpLegacy } from '../../validation/network.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, oneOf, problems, text } from '../../validation/values.ts';

/** Addresses that a load balancer reports. */
export function validateServiceStatus(service: KubeObject, old: KubeObject): FieldError[] {
  const ingress = list(service['status']?.loadBalancer?.ingress) as Json[];
  const path = statusPath.child('loadBalancer', 'ingress');
  if (service['spec']?.type !== 'LoadBalancer' && ingress.length > 0)
    return [fieldError.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")];
  const known = new Set(
    (list(old['status']?.loadBalancer?.ingress) as Json[]).map((each) => text(each['ip'])),
  );
  return ingress.flatMap((each, index) => {
    const at = path.index(index);
    const ip = text(each['ip']);
    const mode = each['ipMode'] as string | null | undefined;
    const hostname = text(each['hostname']);
    const errors: FieldError[] = [];
    if (ip !== '' && !known.has(ip)) errors.push(...validateIpLegacy(at.child('ip'), ip));
    if (!isSet(mode)) {
      if (ip !== '')
        errors.push(fieldError.required(at.child('ipMode'), 'must be specified when `ip` is set'));
    } else if (ip === '')
      errors.push(fieldError.forbidden(at.child('ipMode'), 'may not be specified when `ip` is not set'));
    else errors.push(...oneOf(at.child('ipMode'), mode, ['Proxy', 'VIP']));
    if (hostname !== '') {
      errors.push(...problems(at.child('hostname'), hostname, isDns1123Subdomain(hostname)));
      if (parseIp(hostname) !== undefined)
        errors.push(
          fieldError.invalid(at.child('hostname'), hostname, 'must be a DNS name, not an IP address'),
        );
    }
    return errors;
  });
}
