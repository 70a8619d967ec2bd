/** A transaction that was aborted, as a Fetch response lists it. */
export interface AbortedTransaction {
  readonly producerId: bigint | number;
  /** Offset of its first record, which may lie before the range fetched. */
  readonly firstOffset: number;
}

/**
 * Which producers are inside an aborted transaction, batch by batch: the rule of Kafka's own consumer (KIP-98). The list belongs
 * to one Fetch response, so it begins anew with each.
 */
export class AbortedTransactions {
  private readonly transactions: readonly AbortedTransaction[];
  private position = 0;
  private readonly producers = new Set<bigint>();

  constructor(transactions: readonly AbortedTransaction[]) {
    this.transactions = transactions.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Takes up the transactions that began at or before `lastOffset`, the last offset of the batch at hand. */
  advanceTo(lastOffset: number): void {
    for (;;) {
      const transaction = this.transactions[this.position];
      if (transaction === undefined || transaction.firstOffset > lastOffset) return;
      this.producers.add(BigInt(transaction.producerId));
      this.position++;
    }
  }

  has(producerId: bigint): boolean {
    return this.producers.has(producerId);
  }

  /** An abort marker of this producer was met: what it writes from here on is another transaction. */
  end(producerId: bigint): void {
    this.producers.delete(producerId);
  }
}
