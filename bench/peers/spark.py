"""The job as a Spark-based offload has it: a batch of the Kafka source between two offsets, cast, written as Parquet.

    python spark.py offload BOOTSTRAP_SERVERS TOPIC STARTING ENDING FOLDER CODEC    offsets as the source takes them
    python spark.py check FOLDER...                                                 prints one line of JSON a folder

Environment: KAFKA_JARS, the class path of the Kafka source.
"""

import json
import os
import sys

from pyspark.sql import SparkSession, functions as F

COLUMNS = [
    "CAST(key AS STRING) AS key",
    "CAST(value AS STRING) AS value",
    "CAST(partition AS INT) AS partition",
    "CAST(offset AS LONG) AS offset",
    "CAST(timestamp AS TIMESTAMP) AS timestamp",
]


def open_session():
    return (
        SparkSession.builder.master("local[*]")
        .appName("kafkaload bench")
        .config("spark.driver.extraClassPath", os.environ["KAFKA_JARS"])
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )


def offload(spark, bootstrap_servers, topic, starting, ending, folder, codec):
    rows = (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", bootstrap_servers)
        .option("subscribe", topic)
        .option("startingOffsets", starting)
        .option("endingOffsets", ending)
        .option("failOnDataLoss", "true")
        .load()
        .selectExpr(*COLUMNS)
    )
    rows.write.mode("append").option("compression", codec).parquet(folder)


def check(spark, folder):
    """Rows, the sum of their hashes, and how many rows a look-up by the values of one row finds."""
    rows = spark.read.parquet(folder)
    milliseconds = F.unix_millis("timestamp").alias("timestamp")
    hashes = F.xxhash64("key", "value", "partition", "offset", milliseconds).cast("decimal(38,0)")
    count, checksum = rows.agg(F.count("*"), F.sum(hashes)).first()
    one = rows.where("partition = 0").orderBy(F.col("offset").desc()).first()
    found = {
        name: rows.where(F.col(name) == F.lit(one[name])).count() for name in ("key", "value", "offset", "timestamp")
    }
    return {"rows": count, "checksum": str(checksum), "found": found}


def main():
    command, *arguments = sys.argv[1:]
    spark = open_session()
    if command == "offload":
        offload(spark, *arguments)
    else:
        for folder in arguments:
            print(json.dumps(check(spark, folder)), flush=True)
    gateway = spark.sparkContext._gateway
    spark.stop()
    # pyspark leaves the JVM behind to end by itself: its time and memory would be nobody's.
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


if __name__ == "__main__":
    main()
