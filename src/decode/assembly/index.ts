export { inflateLz4Block } from './lz4';
export { decodeRecords } from './records';
export { inflateSnappyBlock } from './snappy';
