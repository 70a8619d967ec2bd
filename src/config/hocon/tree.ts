import type { Included } from './includes.ts';
import { invalidAt, LIMITS, type Place, type Source } from './source.ts';
import type { Document, FieldSyntax, IncludeSyntax, ObjectSyntax, ValueSyntax } from './syntax.ts';
import { type ListValue, type ObjectValue, type Scalar, stringOf } from './values.ts';

/** A value that may hold substitutions. Objects and lists among `Value` are those that hold none any more. */
export type Node = Scalar | FieldsNode | ItemsNode | ConcatenationNode | ReferenceNode | ListValue | ObjectValue;

export interface FieldsNode {
  readonly kind: 'fields';
  readonly slots: Map<string, Slot>;
}

/**
 * All that a key was set to, in order. Objects side by side in it are merged already; what is below text, a number or
 * a list without substitutions is gone. The rest is decided when substitutions are resolved.
 */
export interface Slot {
  readonly layers: Node[];
}

export interface ItemsNode {
  readonly kind: 'items';
  readonly items: Node[];
}

export interface ConcatenationNode {
  readonly kind: 'concatenation';
  readonly parts: readonly Node[];
  /** Of a `+=`: the list at its end. */
  readonly appended?: ItemsNode;
  readonly place: Place;
}

export interface ReferenceNode {
  readonly kind: 'reference';
  /** Where to look in the tree: in an included file first below the place it is included at, then as it is written. */
  readonly paths: readonly (readonly string[])[];
  /** As it is written: the name of the environment variable to fall back to. */
  readonly written: readonly string[];
  readonly optional: boolean;
  readonly fromList: boolean;
  readonly place: Place;
}

/** Where in the whole configuration the builder is. */
interface Position {
  readonly source: Source;
  /** Keys above the document, and above the field within it. */
  readonly prefix: readonly string[];
  readonly path: readonly string[];
  /** A substitution cannot name an item of a list, which `+=` and includes would have to. */
  readonly isInList: boolean;
  readonly depth: number;
}

/**
 * Merges a document and what it includes into one tree, with substitutions still in it.
 *
 * @throws OffloadError CONFIG_INVALID for includes that nest or multiply beyond bounds.
 */
export function buildTree(root: Document, included: Included): FieldsNode {
  const start = { source: root.source, prefix: [], path: [], isInList: false, depth: 0 };
  return new TreeBuilder(included).buildFields(root.root, start);
}

class TreeBuilder {
  readonly #included: Included;
  #nodes = 0;
  #references = 0;

  constructor(included: Included) {
    this.#included = included;
  }

  buildFields(syntax: ObjectSyntax, position: Position): FieldsNode {
    const object: FieldsNode = { kind: 'fields', slots: new Map() };
    for (const entry of syntax.entries) {
      if (entry.kind === 'include') this.#include(entry, object, position);
      else mergeInto(object, this.#buildField(entry, position));
    }
    return object;
  }

  #buildField(field: FieldSyntax, outer: Position): FieldsNode {
    const { path, appends, offset } = field;
    const place = { source: outer.source, offset };
    const position = this.#enter(outer, path, place);
    if (appends && position.isInList) {
      throw invalidAt(place, `+= does not work inside a list; use it outside and refer to it by \${PATH}`);
    }
    let node = this.#build(field.value, appends ? { ...position, isInList: true } : position, offset);
    if (appends) {
      const previous = this.#reference({ path: position.path, optional: true, fromList: false, offset }, outer);
      const appended: ItemsNode = { kind: 'items', items: [node] };
      node = { kind: 'concatenation', parts: [previous, appended], appended, place };
    }
    for (const key of path.slice(1).reverse()) node = fieldsOf(key, node);
    return fieldsOf(path[0] ?? '', node);
  }

  /** @param offset Where the field begins, for values that do not know their place. */
  #build(syntax: ValueSyntax, position: Position, offset: number): Node {
    const place = { source: position.source, offset };
    this.#count(place);
    switch (syntax.kind) {
      case 'scalar':
        return syntax;
      case 'objectSyntax':
        return this.buildFields(syntax, position);
      case 'listSyntax': {
        const inList = { ...this.#enter(position, [], place), isInList: true };
        return { kind: 'items', items: syntax.items.map((item) => this.#build(item, inList, offset)) };
      }
      case 'concatenationSyntax': {
        const parts: Node[] = [];
        for (const part of syntax.parts) addPart(parts, this.#build(part, position, syntax.offset));
        const [first] = parts;
        if (first !== undefined && parts.length === 1) return first;
        return { kind: 'concatenation', parts, place: { source: position.source, offset: syntax.offset } };
      }
      case 'substitutionSyntax':
        return this.#reference(syntax, position);
    }
  }

  #reference(
    syntax: { path: readonly string[]; optional: boolean; fromList: boolean; offset: number },
    { source, prefix }: Position,
  ): ReferenceNode {
    this.#references += 1;
    const { path, optional, fromList, offset } = syntax;
    const paths = prefix.length > 0 ? [[...prefix, ...path], path] : [path];
    return { kind: 'reference', paths, written: path, optional, fromList, place: { source, offset } };
  }

  #include(include: IncludeSyntax, into: FieldsNode, outer: Position): void {
    const place = { source: outer.source, offset: include.offset };
    const prefix = [...outer.prefix, ...outer.path];
    for (const { source, root } of this.#included.get(include) ?? []) {
      this.#count(place);
      const position = this.#enter({ source, prefix, path: [], isInList: false, depth: outer.depth }, [], place);
      const before = this.#references;
      const object = this.buildFields(root, position);
      if (outer.isInList && this.#references > before) {
        throw invalidAt(place, 'a file with substitutions or += cannot be included inside a list');
      }
      mergeInto(into, object);
    }
  }

  #enter(position: Position, path: readonly string[], place: Place): Position {
    const depth = position.depth + Math.max(1, path.length);
    if (depth > LIMITS.depth) throw invalidAt(place, `more than ${LIMITS.depth} objects and lists inside each other`);
    return { ...position, path: [...position.path, ...path], depth };
  }

  #count(place: Place): void {
    this.#nodes += 1;
    if (this.#nodes > LIMITS.nodes) throw invalidAt(place, `more than ${LIMITS.nodes} values, includes counted in`);
  }
}

function fieldsOf(key: string, node: Node): FieldsNode {
  return { kind: 'fields', slots: new Map([[key, { layers: [node] }]]) };
}

/** Moves all of `from`, which was built for this alone, above what is in `into`. */
function mergeInto(into: FieldsNode, from: FieldsNode): void {
  for (const [key, slot] of from.slots) {
    const existing = into.slots.get(key);
    if (existing === undefined) into.slots.set(key, slot);
    else for (const layer of slot.layers) addLayer(existing, layer);
  }
}

function addLayer({ layers }: Slot, node: Node): void {
  const top = layers.at(-1);
  if (node.kind === 'fields' && top?.kind === 'fields') {
    mergeInto(top, node);
    return;
  }
  // A long row of += becomes one list at once, not one substitution inside the other. What holds substitutions of its
  // own must see the list as it was before.
  const longer = top?.kind === 'items' ? top : top?.kind === 'concatenation' ? top.appended : undefined;
  if (node.kind === 'concatenation' && longer !== undefined && node.appended?.items.every(isScalar)) {
    longer.items.push(...node.appended.items);
    return;
  }
  // Nothing can look below it.
  if (node.kind === 'scalar') layers.length = 0;
  layers.push(node);
}

/**
 * Adds to a concatenation. What needs no substitution is joined at once, as in the reference library: parts of objects
 * can then refer to each other, and text without quotes is dropped only directly after an object or list.
 */
function addPart(parts: Node[], part: Node): void {
  const last = parts.at(-1);
  if (last?.kind === 'fields' && part.kind === 'fields') mergeInto(last, part);
  else if (last?.kind === 'items' && part.kind === 'items') for (const item of part.items) last.items.push(item);
  else if (part.kind === 'scalar' && last?.kind === 'scalar') {
    parts[parts.length - 1] = stringOf(last.text + part.text);
  } else if ((last?.kind === 'fields' || last?.kind === 'items') && isBareText(part)) return;
  else parts.push(part);
}

function isScalar(node: Node): boolean {
  return node.kind === 'scalar';
}

function isBareText(node: Node): boolean {
  return node.kind === 'scalar' && node.type === 'string' && !node.quoted;
}
