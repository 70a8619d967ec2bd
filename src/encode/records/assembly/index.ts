export { compressLz4Block } from './lz4';
