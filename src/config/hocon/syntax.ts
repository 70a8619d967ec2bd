import type { Substitution } from './lexer.ts';
import type { Source } from './source.ts';
import type { Scalar } from './values.ts';

/** One file as it was written: no key merged, nothing included, nothing replaced yet. */
export interface Document {
  readonly source: Source;
  readonly root: ObjectSyntax;
  /** Every include statement in it, in order. */
  readonly includes: readonly IncludeSyntax[];
}

export type ValueSyntax = Scalar | ObjectSyntax | ListSyntax | ConcatenationSyntax | SubstitutionSyntax;

export interface ObjectSyntax {
  readonly kind: 'objectSyntax';
  readonly entries: readonly (FieldSyntax | IncludeSyntax)[];
}

export interface FieldSyntax {
  readonly kind: 'field';
  /** At least one key. */
  readonly path: readonly string[];
  readonly value: ValueSyntax;
  /** `+=` */
  readonly appends: boolean;
  readonly offset: number;
}

export interface IncludeSyntax {
  readonly kind: 'include';
  readonly name: string;
  readonly required: boolean;
  readonly offset: number;
}

export interface ListSyntax {
  readonly kind: 'listSyntax';
  readonly items: readonly ValueSyntax[];
}

/** Values side by side on one line, two at least; white space between texts is a text of its own. */
export interface ConcatenationSyntax {
  readonly kind: 'concatenationSyntax';
  readonly parts: readonly ValueSyntax[];
  readonly offset: number;
}

export interface SubstitutionSyntax extends Substitution {
  readonly kind: 'substitutionSyntax';
  readonly offset: number;
}
