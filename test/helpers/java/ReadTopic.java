import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints every message of a topic that the Java client sees under read_committed, up to the last stable offsets as they
 * are now: one line of JSON each with partition, offset, timestamp, key, value and headers. Bytes are hexadecimal or
 * null, and a header is a pair of key and value.
 *
 * Arguments: bootstrap servers, topic.
 */
public final class ReadTopic {
  private static final HexFormat HEX = HexFormat.of();

  public static void main(String[] arguments) throws Exception {
    Properties properties = new Properties();
    properties.put(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
    properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    ObjectMapper json = new ObjectMapper();
    var output = new PrintStream(System.out, false, "UTF-8");
    try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(arguments[1]).stream()
              .map(found -> new TopicPartition(found.topic(), found.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        for (ConsumerRecord<byte[], byte[]> message : consumer.poll(Duration.ofMillis(200))) {
          output.println(json.writeValueAsString(line(json, message)));
        }
      }
    }
    output.flush();
  }

  private static ObjectNode line(ObjectMapper json, ConsumerRecord<byte[], byte[]> message) {
    ObjectNode line = json.createObjectNode();
    line.put("partition", message.partition());
    line.put("offset", message.offset());
    line.put("timestamp", message.timestamp());
    line.put("key", hex(message.key()));
    line.put("value", hex(message.value()));
    ArrayNode headers = line.putArray("headers");
    for (Header header : message.headers()) headers.addArray().add(header.key()).add(hex(header.value()));
    return line;
  }

  private static String hex(byte[] bytes) {
    return bytes == null ? null : HEX.formatHex(bytes);
  }
}
