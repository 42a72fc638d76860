package dev.zeusd.server.raw;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Server-sent events as Zeus clients take them apart: on blank lines, "data: " with the space. */
public final class EventStream implements AutoCloseable {
  private static final Pattern SAMPLE =
      Pattern.compile("\\{\"timestamp_ms\":(\\d{13}),\"gpu_id\":(\\d+),\"power_mw\":(\\d+)}");
  private static final Pattern SNAPSHOT =
      Pattern.compile("\\{\"timestamp_ms\":(\\d{13}),\"power_mw\":\\{([^{}]+)}}");
  private static final Pattern MEMBER = Pattern.compile("\"(\\d+)\":(\\d+)");

  private final RawConnection connection;
  private final boolean chunked;
  private final Queue<String> blocks = new ArrayDeque<>();
  private String partial = "";

  /** An event of the sample dialect. */
  public record Sample(long timestampMs, int gpuId, long powerMw) {}

  /** An event of the snapshot dialect. */
  public record Snapshot(long timestampMs, Map<Integer, Long> powerMw) {}

  EventStream(RawConnection connection, RawResponse head) {
    this.connection = connection;
    assertEquals(200, head.status(), head::toString);
    assertEquals("text/event-stream", head.header("Content-Type"));
    assertEquals("no-cache, no-transform", head.header("Cache-Control"));
    assertEquals("no", head.header("X-Accel-Buffering"));
    assertEquals("close", head.header("Connection"));
    assertTrue(!head.hasHeader("Content-Length"), head::toString);
    chunked = head.hasHeader("Transfer-Encoding");
    if (chunked) {
      assertEquals("chunked", head.header("Transfer-Encoding"));
    }
  }

  /** The next event or comment, without its blank line; empty if none comes in time. */
  public String next(Duration timeout) throws IOException {
    long deadline = System.nanoTime() + timeout.toNanos();
    while (blocks.isEmpty()) {
      Duration left = Duration.ofNanos(Math.max(0, deadline - System.nanoTime()));
      if (!connection.hasBytes(left)) {
        return "";
      }
      byte[] chunk = chunked ? connection.readChunk(left) : connection.readAvailable();
      assertTrue(chunk.length > 0, "the stream has ended");
      take(new String(chunk, StandardCharsets.UTF_8));
    }
    return blocks.remove();
  }

  private void take(String text) {
    String all = partial + text;
    int start = 0;
    for (int end; (end = all.indexOf("\n\n", start)) >= 0; start = end + 2) {
      String block = all.substring(start, end);
      assertTrue(block.matches("data: \\{.*}|:.*"), () -> "event: '" + block + "'");
      blocks.add(block);
    }
    partial = all.substring(start);
  }

  /** Whether its body is chunked, and not what follows until the connection ends. */
  public boolean isChunked() {
    return chunked;
  }

  /** The JSON of the next event; comments are passed over. */
  public String nextData() throws IOException {
    while (true) {
      String block = next(RawConnection.PATIENCE);
      if (block.isEmpty()) {
        return fail("no event within " + RawConnection.PATIENCE);
      }
      if (!isComment(block)) {
        return block.substring("data: ".length());
      }
    }
  }

  /** Whether this is a heartbeat. */
  public static boolean isComment(String block) {
    return block.startsWith(":");
  }

  /** The next event, which has to be of the sample dialect. */
  public Sample nextSample() throws IOException {
    return sample(nextData());
  }

  /** Takes an event of the sample dialect apart. */
  public static Sample sample(String json) {
    Matcher matcher = SAMPLE.matcher(json);
    assertTrue(matcher.matches(), () -> "not a sample: " + json);
    return new Sample(
        Long.parseLong(matcher.group(1)),
        Integer.parseInt(matcher.group(2)),
        Long.parseLong(matcher.group(3)));
  }

  /** The next event, which has to be of the snapshot dialect. */
  public Snapshot nextSnapshot() throws IOException {
    String json = nextData();
    Matcher matcher = SNAPSHOT.matcher(json);
    assertTrue(matcher.matches(), () -> "not a snapshot: " + json);
    Map<Integer, Long> powerMw = new TreeMap<>();
    for (String member : matcher.group(2).split(",", -1)) {
      Matcher one = MEMBER.matcher(member);
      assertTrue(one.matches(), () -> "not a snapshot: " + json);
      powerMw.put(Integer.valueOf(one.group(1)), Long.valueOf(one.group(2)));
    }
    return new Snapshot(Long.parseLong(matcher.group(1)), powerMw);
  }

  /** Reads to the end of the body, which has to be a proper one, and of the connection. */
  public void assertEndsProperly() throws IOException {
    while (chunked && connection.readChunk(RawConnection.PATIENCE).length > 0) {
      // What was still on its way.
    }
    while (!chunked && connection.hasBytes(RawConnection.PATIENCE)) {
      take(new String(connection.readAvailable(), StandardCharsets.UTF_8));
    }
    assertEquals("", partial, "an event without its end");
    connection.assertEnd();
  }

  @Override
  public void close() throws IOException {
    connection.close();
  }
}
