export { putPlain } from './plain';
export { compressSnappy } from './snappy';
