/** What the package of the same name gives, without its wrapper: types it has only for that. */
declare module '@mongodb-js/zstd/bindings.js' {
  export { compress, decompress } from '@mongodb-js/zstd';
}
