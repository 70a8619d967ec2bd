import { formatPath } from './paths.ts';
import { invalidAt, LIMITS, type Place } from './source.ts';
import type { ConcatenationNode, FieldsNode, Node, ReferenceNode, Slot } from './tree.ts';
import { depthOf, join, listOf, type ObjectValue, objectOf, stringOf, type Value, weightOf } from './values.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * While a layer of a slot is being resolved, what leads back to the slot must see only the layers below ("look back").
 * A scope is the list of slots for which this is so.
 */
interface Scope {
  readonly slot: Slot;
  /** So many layers, from the lowest, can be seen. */
  readonly visible: number;
  readonly outer: Scope | null;
}

/** One thing that a path was set to. A list of them, the last set first, is what stands at a path. */
interface Layer {
  readonly node: Node;
  /** Where it comes from; null for values that are resolved already, and for the root. */
  readonly slot: Slot | null;
  readonly index: number;
  readonly scope: Scope | null;
}

/**
 * Replaces every substitution, by what the path is set to last in the whole tree, else by the environment variable.
 *
 * Lazily: of `${a.b}` only what leads to `a.b` is looked at, so objects may refer to their own parts. Each substitution
 * is resolved once and kept.
 *
 * @param variables Environment variables.
 * @throws OffloadError CONFIG_INVALID for a substitution without a value, a cycle, values that do not go together, and
 *   what would grow beyond the limits.
 */
export function resolveTree(root: FieldsNode, variables: Variables, place: Place): ObjectValue {
  return new Resolver(root, variables, place).resolve();
}

class Resolver {
  readonly #root: FieldsNode;
  readonly #variables: Variables;
  readonly #done = new Map<ReferenceNode | ConcatenationNode, Value | undefined>();
  /** References whose value is being made, and those whose target is being looked for. */
  readonly #resolving = new Set<ReferenceNode>();
  readonly #following = new Set<ReferenceNode>();
  /** How often a cycle was cut: what is absent only for that reason must not be kept. */
  #cuts = 0;
  #steps = 0;
  #depth = 0;
  /** The last thing with a place, for limits. */
  #place: Place;

  constructor(root: FieldsNode, variables: Variables, place: Place) {
    this.#root = root;
    this.#variables = variables;
    this.#place = place;
  }

  resolve(): ObjectValue {
    return this.#mergeFields([{ node: this.#root, slot: null, index: 0, scope: null }]);
  }

  /** The value of what stands at one path; undefined when nothing is left of it. */
  #resolveLayers(layers: readonly Layer[]): Value | undefined {
    const objects: Layer[] = [];
    for (const layer of layers) {
      const value = this.#settle(layer);
      if (value === undefined) continue;
      // What is inside of an object or list does not define the path itself: it sees the whole tree.
      if (value.kind === 'fields' || value.kind === 'object') objects.push({ ...layer, node: value, scope: null });
      else if (objects.length === 0) return this.#evaluate(value, null);
      else break;
    }
    const [first] = objects;
    if (first === undefined) return undefined;
    return first.node.kind === 'object' && objects.length === 1 ? first.node : this.#mergeFields(objects);
  }

  /** @param objects Layers of kind `fields` or `object`, the last set first. */
  #mergeFields(objects: readonly Layer[]): ObjectValue {
    const keys = new Set<string>();
    for (const { node } of objects.toReversed()) {
      for (const key of node.kind === 'fields' ? node.slots.keys() : node.kind === 'object' ? node.fields.keys() : []) {
        keys.add(key);
      }
    }
    const fields = new Map<string, Value>();
    for (const key of keys) {
      const value = this.#nested(() => this.#resolveLayers(this.#child(objects, key)));
      if (value !== undefined) fields.set(key, value);
    }
    return this.#bounded(objectOf(fields));
  }

  /** A layer's substitution or concatenation replaced by its value. */
  #settle(layer: Layer): Exclude<Node, ReferenceNode | ConcatenationNode> | undefined {
    const { node } = layer;
    if (node.kind !== 'reference' && node.kind !== 'concatenation') return node;
    return this.#nested(() => this.#evaluate(node, below(layer)));
  }

  #evaluate(node: Node, scope: Scope | null): Value | undefined {
    this.#step();
    switch (node.kind) {
      case 'scalar':
      case 'list':
      case 'object':
        return node;
      case 'fields':
        return this.#mergeFields([{ node, slot: null, index: 0, scope }]);
      case 'items': {
        const items = node.items.map((item) => this.#nested(() => this.#evaluate(item, scope)));
        return this.#bounded(listOf(items.filter((item) => item !== undefined)));
      }
      case 'concatenation':
        return this.#once(node, () => this.#concatenate(node, scope));
      case 'reference':
        return this.#once(node, () => this.#substitute(node, scope));
    }
  }

  #concatenate({ parts, place }: ConcatenationNode, scope: Scope | null): Value | undefined {
    let joined: Value | undefined;
    for (const part of parts) {
      const value = this.#evaluate(part, scope);
      if (value === undefined) continue;
      const both = joined === undefined ? value : join(joined, value);
      if (both === null) {
        throw invalidAt(place, 'objects, lists and texts side by side do not go together; one kind must stand alone');
      }
      joined = this.#bounded(both);
      // Lists and objects are copied as they grow.
      if (joined.kind !== 'scalar') this.#step(joined.weight / 16);
    }
    return joined;
  }

  #substitute(node: ReferenceNode, scope: Scope | null): Value | undefined {
    this.#place = node.place;
    if (this.#resolving.has(node)) throw CYCLE;
    const cutsBefore = this.#cuts;
    let value: Value | undefined;
    this.#resolving.add(node);
    try {
      value = this.#nested(() => this.#resolveLayers(this.#lookup(node, scope)));
    } catch (error) {
      if (error !== CYCLE) throw error;
      this.#cuts += 1;
    } finally {
      this.#resolving.delete(node);
    }
    if (value === undefined && !node.optional) throw this.#missing(node, this.#cuts > cutsBefore);
    return value;
  }

  /** What stands at the path of a substitution, without resolving more than what leads there. */
  #lookup(node: ReferenceNode, scope: Scope | null): readonly Layer[] {
    for (const path of node.paths) {
      const cutsBefore = this.#cuts;
      let layers: readonly Layer[] = [{ node: this.#root, slot: null, index: 0, scope }];
      for (const key of path) layers = layers.length === 0 ? layers : this.#child(layers, key);
      // What is set by the very value that asks for it is missing, also where another place or the environment has it.
      if (layers.length > 0 || this.#cuts > cutsBefore) return layers;
    }
    const variable = this.#readVariable(node);
    return variable === undefined ? [] : [{ node: variable, slot: null, index: 0, scope: null }];
  }

  #readVariable({ written, fromList }: ReferenceNode): Value | undefined {
    const read = (name: string) => (Object.hasOwn(this.#variables, name) ? this.#variables[name] : undefined);
    const name = written.join('.');
    if (!fromList) {
      const text = read(name);
      return text === undefined ? undefined : stringOf(text);
    }
    const items: Value[] = [];
    for (let text = read(`${name}_0`); text !== undefined; text = read(`${name}_${items.length}`)) {
      items.push(stringOf(text));
    }
    return items.length === 0 ? undefined : listOf(items);
  }

  /** What stands at `key` below layers; nothing when they are no object. */
  #child(layers: readonly Layer[], key: string): Layer[] {
    const found: Layer[] = [];
    for (const layer of layers) {
      this.#step();
      const { node } = layer;
      if (node.kind === 'fields') found.push(...this.#visibleLayers(node.slots.get(key), layer.scope));
      else if (node.kind === 'reference') {
        const target = this.#follow(node, below(layer));
        const isObject = this.#nested(() => this.#isObject(target));
        if (isObject === false) break;
        if (isObject === true) found.push(...this.#nested(() => this.#child(target, key)));
      } else {
        const value = this.#settle(layer);
        if (value === undefined) continue;
        if (value.kind !== 'object') break;
        const field = value.fields.get(key);
        if (field !== undefined) found.push({ node: field, slot: null, index: 0, scope: null });
      }
    }
    return found;
  }

  #visibleLayers(slot: Slot | undefined, scope: Scope | null): Layer[] {
    if (slot === undefined) return [];
    const { layers } = slot;
    let visible = layers.length;
    for (let each = scope; each !== null; each = each.outer) {
      if (each.slot !== slot) continue;
      visible = each.visible;
      this.#cuts += 1;
      break;
    }
    return layers
      .slice(0, visible)
      .map((node, index) => ({ node, slot, index, scope }))
      .reverse();
  }

  /** Whether layers will be an object; null when nothing will be left of them. */
  #isObject(layers: readonly Layer[]): boolean | null {
    for (const layer of layers) {
      const { node } = layer;
      if (node.kind === 'fields') return true;
      if (node.kind === 'reference') {
        const target = this.#follow(node, below(layer));
        const isObject = this.#nested(() => this.#isObject(target));
        if (isObject !== null) return isObject;
      } else {
        const value = this.#settle(layer);
        if (value !== undefined) return value.kind === 'object';
      }
    }
    return null;
  }

  /** What a substitution stands for, not resolved. */
  #follow(node: ReferenceNode, scope: Scope | null): readonly Layer[] {
    this.#place = node.place;
    const cutsBefore = this.#cuts;
    let layers: readonly Layer[] = [];
    if (this.#following.has(node)) this.#cuts += 1;
    else {
      this.#following.add(node);
      layers = this.#nested(() => this.#lookup(node, scope));
      this.#following.delete(node);
    }
    if (layers.length === 0 && !node.optional) throw this.#missing(node, this.#cuts > cutsBefore);
    return layers;
  }

  /** Resolves a substitution or concatenation only once, unless a cycle has kept it from having a value. */
  #once(node: ReferenceNode | ConcatenationNode, resolve: () => Value | undefined): Value | undefined {
    if (this.#done.has(node)) return this.#done.get(node);
    const cutsBefore = this.#cuts;
    const value = resolve();
    if (value !== undefined || this.#cuts === cutsBefore) this.#done.set(node, value);
    return value;
  }

  #missing({ written, place }: ReferenceNode, isCycle: boolean) {
    const path = formatPath(written);
    if (isCycle) return invalidAt(place, `\${${path}} leads back to itself, with no earlier value to take`);
    return invalidAt(
      place,
      `\${${path}} is set neither in the configuration nor in the environment; write \${?${path}} if it may be absent`,
    );
  }

  #nested<Result>(inner: () => Result): Result {
    this.#step();
    this.#depth += 1;
    if (this.#depth > 2 * LIMITS.depth) throw invalidAt(this.#place, 'substitutions refer to each other too deeply');
    try {
      return inner();
    } finally {
      this.#depth -= 1;
    }
  }

  #step(count = 1): void {
    this.#steps += count;
    if (this.#steps > LIMITS.steps) throw invalidAt(this.#place, 'substitutions refer to each other too often');
  }

  #bounded<Kind extends Value>(value: Kind): Kind {
    if (weightOf(value) > LIMITS.weight || depthOf(value) > LIMITS.depth) {
      throw invalidAt(this.#place, 'the configuration grows too large as its substitutions are replaced');
    }
    return value;
  }
}

/** Thrown where a substitution is met again while it is resolved: the last one that led there has no value. */
const CYCLE = Symbol('cycle');

/** The scope in which a layer's own substitutions are resolved. */
function below({ slot, index, scope }: Layer): Scope | null {
  return slot === null ? scope : { slot, visible: index, outer: scope };
}
