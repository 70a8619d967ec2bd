"""Opens a transaction, writes one record in it and stays, until it is killed. Says "open" when the record is written.

Arguments: bootstrap servers, topic, transactional id, key, value.
"""

import signal
import sys

from confluent_kafka import Producer

servers, topic, transactional_id, key, value = sys.argv[1:]
producer = Producer(
    {
        "bootstrap.servers": servers,
        "transactional.id": transactional_id,
        "transaction.timeout.ms": 10_000,
        "socket.timeout.ms": 10_000,
    }
)
producer.init_transactions(30)
producer.begin_transaction()
producer.produce(topic, key=key, value=value, partition=0)
producer.flush(30)
print("open", flush=True)
signal.pause()
