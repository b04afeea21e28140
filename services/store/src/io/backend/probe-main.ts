import { readProbed } from './probe.ts';

readProbed();
