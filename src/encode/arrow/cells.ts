import type { Data } from 'apache-arrow';
import { dictionaryIndexes, presenceOf } from './access.ts';

/** One column, or a child of one, as a row-wise format writes it. */
export interface Cell {
  /** Null: every row holds a value. */
  readonly isPresent: ((row: number) => boolean) | null;
  /** Writes the value of a row that holds one. */
  readonly put: (row: number) => void;
}

/** A column of dictionary indexes, as the values it refers to. */
export function dictionaryCell(data: Data, bind: (values: Data) => Cell): Cell {
  const { values, locate } = dictionaryIndexes(data);
  const cells = values.map(bind);
  const hasIndex = presenceOf(data);
  return {
    isPresent: (row) => {
      if (hasIndex !== null && !hasIndex(row)) return false;
      const [chunk, index] = locate(row);
      const cell = cells[chunk];
      return cell !== undefined && (cell.isPresent === null || cell.isPresent(index));
    },
    put: (row) => {
      const [chunk, index] = locate(row);
      cells[chunk]?.put(index);
    },
  };
}
