import type { FieldError, KubeObject } from '@pilothouse/apimachinery';

export function validateDefinition(_object: KubeObject): FieldError[] {
  return [];
}
export function validateDefinitionUpdate(_object: KubeObject, _old: KubeObject): FieldError[] {
  return [];
}
export function validateDefinitionStatusUpdate(_object: KubeObject, _old: KubeObject): FieldError[] {
  return [];
}
