"""Carries out a script of producer actions (test/helpers/script.ts) with librdkafka and records what the broker
acknowledged: one line of CSV for each message, "n,partition,offset,timestamp,timestampType,committed".

Arguments: bootstrap servers, topic, codec, script, output.
"""

import json
import sys

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer


class Handle:
    def __init__(self, producer, transactional):
        self.producer = producer
        self.transactional = transactional
        # Acknowledged and not yet known to be committed, in order of acknowledgement.
        self.acknowledged = []
        self.sent = 0


def to_bytes(text):
    """Hexadecimal text, or None: an absent value, which is not an empty one."""
    return None if text is None else bytes.fromhex(text)


def open_producer(servers, topic, codec, action):
    properties = {
        "bootstrap.servers": servers,
        "compression.type": codec,
        "linger.ms": 5,
        "batch.size": max(action["batchBytes"], 1),
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 1_000_000,
        "message.max.bytes": 2_000_000,
    }
    if action["transactional"]:
        properties["transactional.id"] = f"{topic}-{action['producer']}"
    handle = Handle(Producer(properties), action["transactional"])
    if action["transactional"]:
        handle.producer.init_transactions(60)
    return handle


def send(handle, topic, action):
    number = action["n"]

    def acknowledge(error, message):
        if error is not None:
            raise SystemExit(f"message {number} was not delivered: {error}")
        kind, timestamp = message.timestamp()
        log_append = 1 if kind == TIMESTAMP_LOG_APPEND_TIME else 0
        handle.acknowledged.append((number, message.partition(), message.offset(), timestamp, log_append))

    handle.sent += 1
    handle.producer.produce(
        topic,
        partition=action["partition"],
        key=to_bytes(action["key"]),
        value=to_bytes(action["value"]),
        timestamp=action["timestamp"],
        headers=[(key, to_bytes(value)) for key, value in action["headers"]],
        on_delivery=acknowledge,
    )


def record(handle, output, committed):
    if len(handle.acknowledged) != handle.sent:
        raise SystemExit(f"{handle.sent} messages were sent and {len(handle.acknowledged)} acknowledged")
    for number, partition, offset, timestamp, log_append in handle.acknowledged:
        output.write(f"{number},{partition},{offset},{timestamp},{log_append},{str(committed).lower()}\n")
    handle.acknowledged.clear()
    handle.sent = 0


def flush(handle):
    left = handle.producer.flush(120)
    if left:
        raise SystemExit(f"{left} messages were not delivered after 120 s")


def main():
    servers, topic, codec, script_path, output_path = sys.argv[1:]
    producers = {}
    with open(script_path, encoding="utf-8") as script, open(output_path, "w", encoding="utf-8") as output:
        output.write("n,partition,offset,timestamp,timestampType,committed\n")
        for line in script:
            action = json.loads(line)
            name = action["producer"]
            operation = action["op"]
            if operation == "open":
                producers[name] = open_producer(servers, topic, codec, action)
                continue
            handle = producers[name]
            if operation == "begin":
                handle.producer.begin_transaction()
            elif operation == "send":
                send(handle, topic, action)
                if handle.sent % 1000 == 0:
                    handle.producer.poll(0)
            elif operation == "flush":
                flush(handle)
                # What an open transaction wrote is recorded when it ends.
                if not handle.transactional:
                    record(handle, output, True)
            elif operation == "commit":
                flush(handle)
                handle.producer.commit_transaction(60)
                record(handle, output, True)
            elif operation == "abort":
                # Flushed first: an abort drops what was not sent yet, and the log shall hold aborted records.
                flush(handle)
                handle.producer.abort_transaction(60)
                record(handle, output, False)
            else:
                raise SystemExit(f"unknown action: {line}")
        for handle in producers.values():
            flush(handle)
            record(handle, output, True)


main()
