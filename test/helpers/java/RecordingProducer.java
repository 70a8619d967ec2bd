import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Carries out a script of producer actions (test/helpers/script.ts) with the Java client and records what the broker
 * acknowledged: one line of CSV for each message, "n,partition,offset,timestamp,timestampType,committed".
 *
 * Arguments: bootstrap servers, topic, codec, script, output.
 */
public final class RecordingProducer {
  private static final HexFormat HEX = HexFormat.of();

  /** A message sent and not yet known to be committed. */
  private record Sent(int number, long timestamp, Future<RecordMetadata> acknowledgement) {}

  private static final class Handle {
    final KafkaProducer<byte[], byte[]> producer;
    final boolean transactional;
    final List<Sent> open = new ArrayList<>();

    Handle(KafkaProducer<byte[], byte[]> producer, boolean transactional) {
      this.producer = producer;
      this.transactional = transactional;
    }
  }

  public static void main(String[] arguments) throws Exception {
    String topic = arguments[1];
    Map<String, Handle> producers = new HashMap<>();
    ObjectMapper json = new ObjectMapper();
    try (BufferedReader script = Files.newBufferedReader(Path.of(arguments[3]));
        BufferedWriter output = Files.newBufferedWriter(Path.of(arguments[4]))) {
      output.write("n,partition,offset,timestamp,timestampType,committed\n");
      for (String line = script.readLine(); line != null; line = script.readLine()) {
        JsonNode action = json.readTree(line);
        String name = action.get("producer").asText();
        if (action.get("op").asText().equals("open")) {
          producers.put(name, open(arguments[0], topic, arguments[2], name, action));
          continue;
        }
        Handle handle = producers.get(name);
        switch (action.get("op").asText()) {
          case "begin" -> handle.producer.beginTransaction();
          case "send" -> send(handle, topic, action);
          case "flush" -> {
            handle.producer.flush();
            // What an open transaction wrote is recorded when it ends.
            if (!handle.transactional) record(handle, output, true);
          }
          case "commit" -> {
            handle.producer.commitTransaction();
            record(handle, output, true);
          }
          case "abort" -> {
            // Flushed first: an abort drops what was not sent yet, and the log shall hold aborted records.
            handle.producer.flush();
            handle.producer.abortTransaction();
            record(handle, output, false);
          }
          default -> throw new IllegalArgumentException("unknown action: " + line);
        }
      }
      for (Handle handle : producers.values()) {
        handle.producer.flush();
        record(handle, output, true);
        handle.producer.close();
      }
    }
  }

  private static Handle open(String servers, String topic, String codec, String name, JsonNode action) {
    boolean transactional = action.get("transactional").asBoolean();
    Properties properties = new Properties();
    properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
    properties.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, codec);
    properties.put(ProducerConfig.LINGER_MS_CONFIG, 5);
    properties.put(ProducerConfig.BATCH_SIZE_CONFIG, action.get("batchBytes").asInt());
    properties.put(ProducerConfig.BUFFER_MEMORY_CONFIG, 67_108_864);
    properties.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, 2_000_000);
    if (transactional) properties.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, topic + "-" + name);
    var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
    if (transactional) producer.initTransactions();
    return new Handle(producer, transactional);
  }

  private static void send(Handle handle, String topic, JsonNode action) {
    long timestamp = action.get("timestamp").asLong();
    RecordHeaders headers = new RecordHeaders();
    for (JsonNode header : action.get("headers")) headers.add(header.get(0).asText(), bytes(header.get(1)));
    int partition = action.get("partition").asInt();
    var message =
        new ProducerRecord<byte[], byte[]>(
            topic,
            partition < 0 ? null : partition,
            timestamp,
            bytes(action.get("key")),
            bytes(action.get("value")),
            headers);
    handle.open.add(new Sent(action.get("n").asInt(), timestamp, handle.producer.send(message)));
  }

  /** Hexadecimal text, or null: an absent value, which is not an empty one. */
  private static byte[] bytes(JsonNode text) {
    return text.isNull() ? null : HEX.parseHex(text.asText());
  }

  private static void record(Handle handle, BufferedWriter output, boolean committed) throws Exception {
    for (Sent sent : handle.open) {
      RecordMetadata acknowledged = sent.acknowledgement().get();
      // The client gives the broker's time in place of ours when the topic is LogAppendTime.
      int timestampType = acknowledged.timestamp() == sent.timestamp() ? 0 : 1;
      output.write(
          sent.number() + "," + acknowledged.partition() + "," + acknowledged.offset() + ","
              + acknowledged.timestamp() + "," + timestampType + "," + committed + "\n");
    }
    handle.open.clear();
  }
}
