"""The usual script for the job: librdkafka reads, pyarrow writes. One process, or several with a share of the partitions.

    python script.py BOOTSTRAP_SERVERS TOPIC FOLDER CODEC PROCESSES
"""

import multiprocessing
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("value", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("ms", tz="UTC")),
    ]
)


def offload(bootstrap_servers, topic, partitions, path, codec):
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "bench",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            # The end is where the broker says that it is: waiting for a silence would cost seconds.
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    left = set(partitions)
    with pq.ParquetWriter(path, SCHEMA, compression=codec) as writer:
        while left:
            columns = [[], [], [], [], []]
            # Comes back when so many are there, or late: the last messages of all would wait for the time-out.
            for message in consumer.consume(10000, timeout=0.1):
                error = message.error()
                if error is not None:
                    if error.code() != KafkaError._PARTITION_EOF:
                        raise RuntimeError(error)
                    left.discard(message.partition())
                    continue
                key = message.key()
                columns[0].append(None if key is None else key.decode())
                columns[1].append(message.value().decode())
                columns[2].append(message.partition())
                columns[3].append(message.offset())
                columns[4].append(message.timestamp()[1])
            if columns[0]:
                arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA)]
                writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
    consumer.close()


def main():
    bootstrap_servers, topic, folder, codec, processes = sys.argv[1:]
    count = int(processes)
    os.makedirs(folder)
    metadata = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(topic, timeout=30)
    partitions = sorted(metadata.topics[topic].partitions)
    shares = [share for share in (partitions[index::count] for index in range(count)) if share]
    jobs = [
        (bootstrap_servers, topic, share, os.path.join(folder, f"part-{index}.parquet"), codec)
        for index, share in enumerate(shares)
    ]
    if len(jobs) == 1:
        offload(*jobs[0])
        return
    workers = [multiprocessing.Process(target=offload, args=job) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode != 0 for worker in workers):
        sys.exit("a process failed")


if __name__ == "__main__":
    main()
