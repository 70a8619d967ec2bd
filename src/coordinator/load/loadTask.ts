/**
 * What a worker does with one unit: read, transform, encode, hand over. The thread keeps its connections, columns and
 * encoder from unit to unit.
 */
import type { MessagePort } from 'node:worker_threads';
import { MessageColumns, roomFor } from '../../decode/columns.ts';
import { Cluster } from '../../kafka/cluster.ts';
import type { DeadLetterMaker } from '../badRecords/deadLetters.ts';
import { RowTransform } from '../rowTransform.ts';
import { ChunkSender } from './chunkSender.ts';
import type { LoadSettings, LoadUnit, UnitEnd } from './chunks.ts';
import { RecordMaker } from './recordMaker.ts';
import type { TopicUnitContext } from './topicUnit.ts';

export interface LoadTask {
  readonly unit: LoadUnit;
  readonly settings: LoadSettings;
  readonly port: MessagePort;
  /** Chunks that may be sent at once. */
  readonly credit: number;
}

export class LoadTaskRunner {
  readonly #settings: LoadSettings;
  readonly #maker: RecordMaker;
  readonly #transform: RowTransform;
  readonly #topic: Pick<TopicUnitContext, 'cluster' | 'columns'> | null;
  #deadLetters: DeadLetterMaker | null = null;

  constructor(settings: LoadSettings) {
    const { source, target } = settings;
    this.#settings = settings;
    this.#maker = new RecordMaker(target);
    this.#transform = new RowTransform(settings.transform);
    this.#topic =
      source.kind === 'topic'
        ? {
            cluster: new Cluster(source.connection),
            columns: new MessageColumns(
              source.fields.map(({ column }) => column),
              roomFor({ rows: settings.chunkRows, bytes: settings.chunkBytes }),
            ),
          }
        : null;
  }

  /** Whether it was made with these settings. */
  fits({ version }: LoadSettings): boolean {
    return version === this.#settings.version;
  }

  /** Never throws: everything, an error included, is said through the port, in its order. */
  async run({ unit, port, credit }: LoadTask): Promise<void> {
    const sender = new ChunkSender(port, credit);
    try {
      sender.end(await this.#send(unit, sender));
    } catch (error) {
      sender.fail(error);
    } finally {
      this.#topic?.columns.clear();
      sender.close();
    }
  }

  /** No unit may be under way. */
  async close(): Promise<void> {
    this.#topic?.cluster.close();
    this.#maker.close();
    await this.#transform.close();
  }

  async #send(unit: LoadUnit, sender: ChunkSender): Promise<UnitEnd> {
    const { source, ...limits } = this.#settings;
    const shared = { limits, sender, maker: this.#maker, transform: this.#transform };
    if (unit.kind === 'topic' && source.kind === 'topic' && this.#topic) {
      const { sendTopicUnit } = await import('./topicUnit.ts');
      if (this.#settings.deadLetters && !this.#deadLetters) {
        const { DeadLetterMaker } = await import('../badRecords/deadLetters.ts');
        this.#deadLetters = new DeadLetterMaker(this.#settings.deadLetters, this.#topic.cluster, source.fetch);
      }
      return sendTopicUnit(unit, { source, ...shared, ...this.#topic, deadLetters: this.#deadLetters });
    }
    if (unit.kind === 'file' && source.kind === 'files') {
      const { sendFileUnit } = await import('./fileUnit.ts');
      return sendFileUnit(unit, { source, ...shared });
    }
    throw new TypeError(`a unit of a ${unit.kind} is not for a source of ${source.kind}`);
  }
}
