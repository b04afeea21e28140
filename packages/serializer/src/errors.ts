import { CodedError } from '@pilothouse/base';

export type DecodeErrorCode = 'JsonSyntax' | 'JsonType' | 'Protobuf' | 'Yaml' | 'Value';

/** The bytes are not what they should be. Messages are upstream's where clients can see them. */
export class DecodeError extends CodedError {
  constructor(code: DecodeErrorCode, message: string) {
    super(code, message);
  }
}
