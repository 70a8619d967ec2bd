"""Prints every message of a topic that librdkafka's consumer sees under read_committed, up to the ends as they are now:
one line of JSON each with partition, offset, timestamp, key and value (hexadecimal or null).

Arguments: bootstrap servers, topic, and "positions" to leave keys and values out.
"""

import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition


def to_hex(data):
    return None if data is None else data.hex()


def main():
    servers, topic = sys.argv[1:3]
    positions_only = sys.argv[3:] == ["positions"]
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "kafkaload-tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
        }
    )
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    left = set(partitions)
    lines = []
    while left:
        for message in consumer.consume(10_000, 0.2):
            error = message.error()
            if error is None:
                line = {"partition": message.partition(), "offset": message.offset()}
                if not positions_only:
                    line["timestamp"] = message.timestamp()[1]
                    line["key"] = to_hex(message.key())
                    line["value"] = to_hex(message.value())
                lines.append(json.dumps(line))
            elif error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
            else:
                raise SystemExit(str(error))
    consumer.close()
    print("\n".join(lines))


main()
